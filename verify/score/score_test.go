package score

import (
	"slices"
	"testing"

	"presend/verify/verdict"
)

func TestScoresKeepToTheBordersOfTheirVerdictWhateverTheFlags(t *testing.T) {
	flags := verdict.Flags()
	for _, reason := range verdict.All() {
		low, high := reason.Verdict().Bounds()
		for _, with := range [][]verdict.Flag{nil, flags, slices.Repeat(flags, 9), slices.Repeat([]verdict.Flag{verdict.FlagFree}, 50)} {
			if got := Of(Evidence{reason, with}); got < low || got > high {
				t.Errorf("%s with %d flags scores %d, want %d to %d", reason, len(with), got, low, high)
			}
		}
	}
}

func TestAFlagMovesTheScoreByItsPoints(t *testing.T) {
	for flag, p := range points() {
		want := verdict.CatchAll.Facts().Score + p
		if got := Of(Evidence{verdict.CatchAll, []verdict.Flag{flag}}); got != want {
			t.Errorf("catch_all with %s scores %d, want %d", flag, got, want)
		}
	}
}

func TestAMistakeInTheFileIsNamed(t *testing.T) {
	for name, text := range map[string]string{"an unknown flag": "[flag]\ncolour = 3\n", "no TOML": "["} {
		if _, err := readPoints(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
