package doctor

import (
	"context"
	"errors"
	"fmt"
)

// otherFiles is how many files a run has open in addition to its sessions: sockets of the resolver, the state, the list
// and its outputs.
const otherFiles = 64

// openFiles checks whether as many sessions as asked for can be open at a time. A session may have two connections
// while it tries two addresses of a host.
func (e *exam) openFiles(context.Context) []Finding {
	limit, err := e.Network.OpenFiles()
	if errors.Is(err, errors.ErrUnsupported) {
		return nil // this system has no such limit
	}
	return []Finding{judgeFiles(limit, err, e.Sessions)}
}

func judgeFiles(limit uint64, err error, sessions int) Finding {
	needed := 2*uint64(max(sessions, 1)) + otherFiles
	switch {
	case err != nil:
		return Finding{
			Level: Warning, Found: fmt.Sprintf("the limit of open files is not known: %v", err), Fix: "Look at ulimit -n.",
		}
	case limit < needed:
		return Finding{
			Level: Failure,
			Found: fmt.Sprintf("%d files may be open, and %d sessions need up to %d", limit, sessions, needed),
			Means: "Connections fail because no more files can be opened, although nothing is wrong with the mail hosts.",
			Fix: fmt.Sprintf("Raise the limit (ulimit -n %d, or LimitNOFILE in a systemd unit), or use fewer --sessions.",
				needed),
		}
	}
	return Finding{
		Level: OK, Found: fmt.Sprintf("%d files may be open, and %d sessions need up to %d", limit, sessions, needed),
	}
}

// Room returns how many sessions, of those asked for, and how many look-ups at a time the limit of open files leaves
// room for. Each may have two files open. limited says that this is less than what was asked for.
func Room(sessions, lookups int) (fitSessions, fitLookups int, limited bool) {
	limit, err := openFiles()
	if err != nil { // there is none, or it is not known
		return sessions, lookups, false
	}
	return room(limit, sessions, lookups)
}

func room(limit uint64, sessions, lookups int) (fitSessions, fitLookups int, limited bool) {
	const others = 32 // the state, the list and its outputs
	each := 1
	if limit > others {
		each = int(min(max((limit-others)/4, 1), 1<<20))
	}
	return min(sessions, each), min(lookups, each), sessions > each
}
