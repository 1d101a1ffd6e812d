package job

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"presend/state"
	"presend/verify"
	"presend/verify/syntax"
	"presend/verify/verdict"
)

// Preflight tests whether DNS can be believed; nil: it is not tested. The Preflight of an mx.Resolver is one.
type Preflight func(context.Context) error

// within returns a test that takes no longer than d.
func (p Preflight) within(d time.Duration) Preflight {
	if p == nil {
		return nil
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return p(ctx)
	}
}

// preflightTime is how long a preflight may take.
const preflightTime = 2 * time.Second

const (
	knownLeast = 10 // well-known domains in a list, of which too many that are missing tell that DNS lies
	knownShare = 3  // one of so many
)

// Trouble is a fault on our side, in words for people.
type Trouble struct {
	Kind   verify.TroubleKind `json:"kind"`
	Text   string             `json:"text"`   // a sentence without a full stop
	Advice string             `json:"advice"` // what to do about it
}

// TroubleError says that the job could not do its work because of something on our side. Run has
// written its outputs from what is known, and has left suppress.csv as it was.
type TroubleError struct{ Troubles []Trouble }

func (e *TroubleError) Error() string {
	var texts []string
	for _, t := range e.Troubles {
		texts = append(texts, t.Text+". "+t.Advice)
	}
	return strings.Join(texts, "\n")
}

// watcher is the observer of a job's runs. It passes on what it is told, and keeps what is wrong on our side.
type watcher struct {
	observer verify.Observer // nil: none
	mu       sync.Mutex      // guards what follows
	troubles []Trouble
	foreign  *verify.Trouble // of a server that answers in place of the mail hosts; the first
	known    map[string]bool // well-known domains of the list, and whether they came back missing
}

// Done implements verify.Observer.
func (w *watcher) Done(r verify.Result) {
	w.note(r)
	if w.observer != nil {
		w.observer.Done(r)
	}
}

// Waiting implements verify.Observer.
func (w *watcher) Waiting(ahead verify.Ahead) {
	if w.observer != nil {
		w.observer.Waiting(ahead)
	}
}

// Troubled implements verify.TroubleObserver.
func (w *watcher) Troubled(t *verify.Trouble) { w.add(t) }

// note keeps what a result tells of our side.
func (w *watcher) note(r verify.Result) {
	if r.Trouble != nil {
		w.add(r.Trouble)
	}
	w.saw(r.Normalized[strings.LastIndexByte(r.Normalized, '@')+1:], r.Reason)
}

// saw keeps what came of a well-known domain.
func (w *watcher) saw(domain string, reason verify.Reason) {
	if !syntax.WellKnown(domain) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known == nil {
		w.known = map[string]bool{}
	}
	w.known[domain] = fromDNSAlone(reason)
}

// add keeps a trouble, of each kind and place once.
func (w *watcher) add(t *verify.Trouble) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.Kind == verify.PortIntercepted && (w.foreign == nil || t.Since.Before(w.foreign.Since)) {
		w.foreign = t
	}
	text, _, _ := strings.Cut(t.String(), ":")
	for _, had := range w.troubles {
		if before, _, _ := strings.Cut(had.Text, ":"); before == text {
			return
		}
	}
	w.troubles = append(w.troubles, Trouble{Kind: t.Kind, Text: t.String(), Advice: t.Advice()})
}

// err returns a *TroubleError where anything is wrong on our side.
func (w *watcher) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.troubles) == 0 {
		return nil
	}
	return &TroubleError{w.troubles}
}

// troubled reports whether anything is wrong on our side.
func (w *watcher) troubled() bool { return w.err() != nil }

// fromDNSAlone reports whether a reason was concluded from what DNS says is not there.
func fromDNSAlone(r verify.Reason) bool { return r == verdict.NoSuchDomain || r == verdict.NoMailHost }

// preflight tests DNS, and keeps what is wrong with it. The error is that of ctx.
func (w *watcher) preflight(ctx context.Context, test Preflight) (*verify.Trouble, error) {
	if test == nil {
		return nil, nil
	}
	testing, cancel := context.WithTimeout(ctx, preflightTime)
	defer cancel()
	err := test(testing)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil:
		return nil, nil
	}
	t := &verify.Trouble{Kind: verify.DNSDown, Detail: err.Error()}
	w.add(t)
	return t, nil
}

// after tests DNS at the end of a run, and looks at what came of the list's well-known domains. It returns what is
// wrong with DNS; nil: nothing.
func (w *watcher) after(ctx context.Context, test Preflight) (*verify.Trouble, error) {
	t, err := w.preflight(ctx, test)
	if t != nil || err != nil || test == nil {
		return t, err
	}
	w.mu.Lock()
	missing := 0
	for _, m := range w.known {
		if m {
			missing++
		}
	}
	all := len(w.known)
	w.mu.Unlock()
	if all < knownLeast || missing*knownShare <= all {
		return nil, nil
	}
	t = &verify.Trouble{Kind: verify.DNSDown, Detail: fmt.Sprintf(
		"it says that %d of the %d well-known domains in this list do not exist", missing, all)}
	w.add(t)
	return t, nil
}

// withdraw takes back what a server said in place of the mail hosts. Then it tests DNS at the end of a run, and takes
// back what that concluded from a DNS that cannot be believed.
func (w *watcher) withdraw(ctx context.Context, test Preflight, file *state.File, begun time.Time) error {
	w.mu.Lock()
	foreign := w.foreign
	w.mu.Unlock()
	if foreign != nil {
		if _, err := file.WithdrawAnswers(ctx, foreign.Since, unbelieved(foreign)); err != nil {
			return err
		}
	}
	t, err := w.after(ctx, test)
	if err != nil || t == nil {
		return err
	}
	_, err = file.WithdrawDomains(ctx, begun, unbelieved(t))
	return err
}

// unbelieved is the detail of a result that was concluded from answers that cannot be believed.
func unbelieved(t *verify.Trouble) string { return "not asked: " + t.String() }
