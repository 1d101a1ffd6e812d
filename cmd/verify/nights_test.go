package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"presend/internal/lab"
)

// Each test of this file is about a numbered line of what is known and grows old (DESIGN, Ageing), on a simulated
// clock.

const (
	corp   = "host mx.corp.lab\ndomain corp.lab mx=mx.corp.lab\n"
	corpUp = corp + "mailbox ann,bob,cy@corp.lab\n"
	// Some host has to answer in a run, or it is about us.
	fine = "host mx.fine.lab\ndomain fine.lab mx=mx.fine.lab\nmailbox ann,bob@fine.lab\n"
)

// asked returns how many RCPTs the lab saw since it was asked last.
func (s *simulation) asked(before *int64) int64 {
	now := int64(s.lab.Count().Rcpts)
	defer func() { *before = now }()
	return now - *before
}

func TestANightWithoutAnswersReplacesNoAnswer(t *testing.T) { // 1
	simulate(t, corpUp+fine, func(s *simulation) {
		list := s.list("ann@corp.lab", "never@corp.lab", "ann@fine.lab")
		first := s.night(1, list)
		s.world("host mx.corp.lab dead\ndomain corp.lab mx=mx.corp.lab\n" + fine)
		for night := 2; night <= 6; night++ {
			rows := s.night(night, list, "--max-age", "1d")
			for _, address := range []string{"ann@corp.lab", "never@corp.lab"} {
				was, is := first[address], rows[address]
				if is["verdict"] != was["verdict"] || is["checked_at"] != was["checked_at"] || is["retry_at"] == "" ||
					!strings.Contains(is["flags"], "unconfirmed") || !strings.Contains(is["detail"], "refused") {
					t.Fatalf("night %d: %v, want what the first night said, unconfirmed", night, is)
				}
			}
		}
		s.world(corpUp + fine)
		if got := s.night(9, list)["ann@corp.lab"]; got["reason"] != "accepted" ||
			strings.Contains(got["flags"], "unconfirmed") {
			t.Errorf("when the server is back: %v", got)
		}
	})
}

func TestWhatCameInOneNightIsNotAllAskedInOneNight(t *testing.T) { // 2
	var declaration strings.Builder
	var addresses []string
	for i := range 40 {
		fmt.Fprintf(&declaration, "host mx.d%d.lab\ndomain d%d.lab mx=mx.d%d.lab\n", i, i, i)
		for k := range 10 {
			addresses = append(addresses, fmt.Sprintf("user%d@d%d.lab", k, i))
			fmt.Fprintf(&declaration, "mailbox user%d@d%d.lab\n", k, i)
		}
	}
	simulate(t, declaration.String(), func(s *simulation) {
		list := s.list(addresses...)
		var before int64
		var nights []int64
		for night := 1; night <= 40; night++ {
			s.night(night, list)
			nights = append(nights, s.asked(&before))
		}
		if most := slices.Max(nights[1:]); most > 400/8 {
			t.Errorf("%d RCPTs in one night, want the 400 addresses spread: %v", most, nights)
		}
	})
}

func TestWhatWasInvalidIsLookedAtAgain(t *testing.T) { // 3
	const late, gone, full = "late@corp.lab", "ann@lapsed.lab", "full@corp.lab"
	lapsed := "host mx.lapsed.lab\ndomain lapsed.lab mx=mx.lapsed.lab\nmailbox ann@lapsed.lab\n"
	simulate(t, corpUp+"full full@corp.lab\n", func(s *simulation) { // lapsed.lab is not there
		list := s.list("ann@corp.lab", late, gone, full)
		want := map[string]string{
			"ann@corp.lab": "accepted", late: "mailbox_unknown", gone: "no_such_domain", full: "mailbox_full",
		}
		if diff := cmp.Diff(want, reasons(s.night(1, list))); diff != "" {
			t.Fatalf("night 1 (-want +got):\n%s", diff)
		}
		s.world(corpUp + lapsed + "mailbox late,full@corp.lab\n")
		found := map[string]int{}
		for night := 2; night <= 11; night++ {
			for address, reason := range reasons(s.night(night, list)) {
				if reason == "accepted" && found[address] == 0 {
					found[address] = night
				}
			}
		}
		if found[gone] != 2 || found[late] < 6 || found[late] > 10 || found[full] < 6 || found[full] > 10 {
			t.Errorf("found accepted in nights %v, want the domain at once, and the mailboxes after a week", found)
		}
	})
}

func TestTheCatchAllAnswerAges(t *testing.T) { // 4
	const turned = "host mx.turned.lab\ndomain turned.lab mx=mx.turned.lab %s\nmailbox %s@turned.lab\n"
	simulate(t, fmt.Sprintf(turned, "", "u1,u2,u3,u4"), func(s *simulation) {
		before := []string{"u1@turned.lab", "u2@turned.lab", "u3@turned.lab"}
		s.night(1, s.list(before...))
		s.world(fmt.Sprintf(turned, "catchall", "u1,u2,u3,u4"))
		// A new address on night 3: the fact is fresh, and one RCPT is enough.
		var count int64
		rows := s.night(3, s.list(append(before, "ghost3@turned.lab")...))
		if got := rows["ghost3@turned.lab"]["reason"]; got != "accepted" || s.asked(&count) != 1 {
			t.Errorf("night 3: %s", got)
		}
		// A week later any address brings the question along, and what was accepted is asked again in the same run.
		rows = s.night(9, s.list(append(before, "ghost3@turned.lab", "ghost9@turned.lab")...))
		for address, r := range rows {
			if r["reason"] != "catch_all" || r["verdict"] != "risky" || !strings.HasPrefix(r["checked_at"], "2000-01-09") {
				t.Errorf("night 9: %s is %v, want catch_all of tonight", address, r)
			}
		}
	})
	simulate(t, fmt.Sprintf(turned, "", "u1,u2"), func(s *simulation) {
		list := s.list("u1@turned.lab")
		s.night(1, list)
		s.world(fmt.Sprintf(turned, "catchall", "u1,u2"))
		if got := s.night(3, list, "--max-age", "1d")["u1@turned.lab"]["reason"]; got != "catch_all" {
			t.Errorf("with --max-age 1d: %s, want catch_all", got)
		}
	})
}

func TestTheScoreOfADeliverableAddressFallsWithItsAge(t *testing.T) { // 5
	all := people(9)
	simulate(t, corp+"mailbox "+strings.Join(all, " ")+"\n", func(s *simulation) {
		list := s.list(all...)
		first, later := s.night(1, list), s.night(20, list)
		aged := 0
		for address, r := range later {
			if r["checked_at"] != first[address]["checked_at"] {
				continue // it was asked again
			}
			aged++
			if first[address]["score"] != "99" || r["score"] != "98" {
				t.Errorf("%s has %s, and nineteen days later %s", address, first[address]["score"], r["score"])
			}
		}
		if aged == 0 {
			t.Error("all were asked again")
		}
		for address, r := range s.night(20, list, "--max-age", "7d") {
			if r["score"] != "99" {
				t.Errorf("with --max-age 7d %s has %s", address, r["score"])
			}
		}
	})
}

func TestANightThatBeginsEarlierIsTheNextNight(t *testing.T) { // 6
	simulate(t, corpUp, func(s *simulation) { // lapsed.lab is not there
		list := s.list("ann@lapsed.lab")
		s.night(2, list)
		s.midnight = s.midnight.Add(-3 * time.Minute)
		s.world("host mx.lapsed.lab\ndomain lapsed.lab mx=mx.lapsed.lab\nmailbox ann@lapsed.lab\n")
		if got := s.night(3, list)["ann@lapsed.lab"]["reason"]; got != "accepted" {
			t.Errorf("three minutes earlier than a day later: %s, want it asked again", got)
		}
		if err := s.change("UPDATE results SET checked_at = checked_at + 800 * 86400, due_at = due_at + " +
			"800 * 86400"); err != nil {
			t.Fatal(err)
		}
		rows := s.night(4, list)
		if got := rows["ann@lapsed.lab"]; !strings.HasPrefix(got["checked_at"], "2000-01-") {
			t.Errorf("a result of the future: %v, want it asked again", got)
		}
	})
}

func TestRetriesEveryThreeHoursBurnNoTries(t *testing.T) { // 7
	simulate(t, "host mx.corp.lab dead\ndomain corp.lab mx=mx.corp.lab\n"+fine, func(s *simulation) {
		list := s.list("ann@corp.lab", "ann@fine.lab")
		s.night(1, list)
		for range 7 {
			time.Sleep(3 * time.Hour)
			if code, _, stderr := s.verify("retry", "--state", s.path("crm.db"), "-q"); code > 1 {
				t.Fatalf("exit %d: %s", code, stderr)
			}
		}
		if got := s.tried("ann@corp.lab"); got.Tries > 3 {
			t.Errorf("%d tries in a day, want those of the timetable: at once, after 15 minutes, after 2 hours", got.Tries)
		}
		if got := s.night(2, s.list("ann@corp.lab", "ann@fine.lab",
			"bob@fine.lab"))["ann@corp.lab"]["reason"]; got != "unreachable" {
			t.Errorf("night 2: %s", got)
		}
	})
}

func TestAMissingDomainIsSuppressedOnTheSecondDay(t *testing.T) { // 8
	simulate(t, corpUp, func(s *simulation) {
		list := s.list("ann@lapsed.lab", "never@corp.lab")
		for night, want := range []int{1: 0, 2: 1} {
			if night == 0 {
				continue
			}
			s.night(night, list, "--split", s.path("parts"))
			content, err := os.ReadFile(s.path("parts/suppress.csv"))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(string(content), "ann@lapsed.lab"); got != want ||
				!strings.Contains(string(content), "never@corp.lab") {
				t.Errorf("night %d: suppress.csv is\n%s", night, content)
			}
		}
	})
}

// changing runs a test in a bubble, with a world whose truth changes by night.
func changing(t *testing.T, seed uint64, addresses, nights int, test func(s *simulation, list string)) {
	world := lab.NewNights(seed, addresses, nights)
	simulate(t, corp, func(s *simulation) {
		s.calendar = world
		test(s, s.list(world.Addresses()...))
	})
}

// turn puts the world of a night in place of that of the night before.
func (s *simulation) turn(night int) {
	s.Helper()
	if err := s.lab.Close(); err != nil {
		s.Error(err)
	}
	world, err := s.calendar.World(night)
	if err == nil {
		s.lab, err = world.Start(s.Context(), lab.InMemory())
	}
	if err != nil {
		s.Fatal(err)
	}
}

// How large the simulated list is and for how many nights it comes, for measuring: -run AMonth -nights 90 -v.
var (
	manyNights   = flag.Int("nights", 30, "how many nights are simulated")
	manyContacts = flag.Int("contacts", 300, "how many contacts the simulated list has")
)

func TestAMonthInAWorldWhoseTruthChangesByNight(t *testing.T) {
	addresses, nights := *manyContacts, *manyNights
	changing(t, 1, addresses, nights, func(s *simulation, list string) {
		type mistake struct {
			truth string
			since int
		}
		wrong := map[string]mistake{}
		var asked []int64
		for night := 1; night <= nights; night++ {
			s.turn(night)
			for address, r := range s.night(night, list) {
				truth := s.lab.TruthOf(address).Reason
				switch {
				case r["reason"] == truth || truth == "unreachable":
					delete(wrong, address)
				case wrong[address].truth != truth:
					wrong[address] = mistake{truth, night}
				}
				// A good address called invalid is the worst error: what was asked once is looked at again within 9 nights.
				if m := wrong[address]; m.truth == "accepted" && r["verdict"] == "invalid" && m.since <= 5 && night > 10 {
					t.Errorf("night %d: %s is %s, and accepted since night %d", night, address, r["reason"], m.since)
				}
			}
			asked = append(asked, int64(s.lab.Count().Rcpts))
			if info, err := os.Stat(s.path("crm.db")); err != nil {
				t.Error(err)
			} else if night%10 == 0 {
				t.Logf("night %d: the state has %d KiB, %d rows are wrong", night, info.Size()>>10, len(wrong))
			}
		}
		after := slices.Sorted(slices.Values(asked[7:]))
		if most, median := after[len(after)-1], after[len(after)/2]; nights >= 60 && addresses >= 1000 && most > 2*median {
			t.Errorf("%d RCPTs in a night after the first week, more than twice the median, %d", most, median)
		}
		t.Logf("RCPTs by night %v; after the first week at most %d, median %d", asked, after[len(after)-1],
			after[len(after)/2])
		if len(wrong) > addresses/10 {
			t.Errorf("%d of %d rows are wrong after a month: %v", len(wrong), addresses, wrong)
		}
	})
}
