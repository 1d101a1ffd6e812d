package lab_test

import (
	"testing"
	"testing/synctest"
	"time"

	"presend/internal/lab"
)

func TestAHostFollowsItsScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := lab.Parse("host mx.corp.lab limits=RCPTMAX=2,MAILMAX=3\ndomain corp.lab mx=mx.corp.lab\n" +
			"mailbox ann@corp.lab")
		if err != nil {
			t.Fatal(err)
		}
		var visits []lab.Visit
		script := func(v lab.Visit) (string, time.Duration) {
			visits = append(visits, v)
			switch {
			case v.Command == "MAIL" && v.Mails == 3:
				return "421 4.7.0 enough", 0
			case v.Recipient == "bob@corp.lab":
				return "550 nobody reads this", 8 * time.Second
			}
			return "", 0
		}
		if err := w.Script("mx.corp.lab", script); err != nil {
			t.Fatal(err)
		}
		if err := w.Script("mx.other.lab", script); err == nil {
			t.Error("a host that is not declared has a script")
		}
		l, err := w.Start(t.Context(), lab.InMemory())
		if err != nil {
			t.Fatal(err)
		}
		c := reach(t, l, "corp.lab")
		c.expect("220 mx.corp.lab")
		c.exchange("EHLO probe.lab", "250 LIMITS RCPTMAX=2 MAILMAX=3")
		c.exchange("MAIL FROM:<>", "250 2.1.0")
		c.exchange("RCPT TO:<ann@corp.lab>", "250 2.1.5")
		begun := time.Now()
		c.exchange("RCPT TO:<bob@corp.lab>", "550 nobody")
		if took := time.Since(begun); took != 8*time.Second {
			t.Errorf("the scripted reply took %v", took)
		}
		c.exchange("RSET", "250")
		c.exchange("MAIL FROM:<>", "250")
		c.exchange("RSET", "250")
		c.exchange("MAIL FROM:<>", "421 4.7.0 enough")
		c.expectEnd()
		if len(visits) != 5 || !visits[1].Known || visits[2].Known || visits[2].Position != 1 ||
			visits[2].Taken != 1 || visits[4].Refused != 1 || visits[4].Asked != 2 || visits[4].Session != 1 {
			t.Errorf("%+v", visits)
		}
		if n := l.Probes("bob@corp.lab"); n != 1 {
			t.Errorf("bob was counted %d times", n)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
