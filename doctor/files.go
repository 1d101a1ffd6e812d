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
