package job

import (
	"context"
	"errors"

	"presend/lists"
	"presend/state"
)

// spine is the state file of a job, with what the list's last run was.
type spine struct {
	file     *state.File
	suppress *state.File // another one with a suppression list; nil: none
	owned    bool        // the job opened file
	last     last
	note     string // on the list's column; empty: none
}

// openSpine opens a job's state file, and lets the list have the address column of its last run.
func (o Options) openSpine(ctx context.Context, reader *lists.Reader) (s *spine, err error) {
	s = &spine{file: o.File}
	if s.file == nil {
		if s.file, err = state.Open(ctx, o.State); err != nil {
			return nil, err
		}
		s.owned = true
	}
	s.last = last{file: s.file, name: o.listName()}
	if o.Suppress != "" {
		s.suppress, err = state.OpenShared(ctx, o.Suppress)
	}
	if err == nil {
		s.last.run, err = s.file.LastRun(ctx, s.last.name)
	}
	if err == nil {
		s.note, err = s.last.column(ctx, o, reader)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// listName returns the name by which the list is known.
func (o Options) listName() string {
	if o.List != "" {
		return o.List
	}
	return state.ListName(o.Input)
}

// begin begins the job's run.
func (s *spine) begin(ctx context.Context, o Options, reader *lists.Reader) (*state.Run, error) {
	list := state.List{Name: s.last.name, Input: o.Input, Columns: reader.Understood().Columns}
	return s.file.BeginList(ctx, list, state.Policy{
		Fresh: o.Fresh, MaxAge: o.MaxAge, Probing: o.Probing, Suppression: s.suppress,
	})
}

func (s *spine) close() (err error) {
	if s.suppress != nil {
		err = s.suppress.Close()
	}
	if s.owned {
		err = errors.Join(err, s.file.Close())
	}
	return err
}
