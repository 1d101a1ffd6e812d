package lab

import (
	"context"
	"net"
	"time"
)

// wire is a connection with a round-trip time. What arrives is handed on a round trip after it arrived, so that a
// flight of commands costs one round trip, and flights sent one after the other overlap as on a real network.
type wire struct {
	net.Conn
	ctx     context.Context // ends with the connection
	rtt     time.Duration
	flights chan flight
	rest    []byte
	err     error
}

type flight struct {
	data []byte
	due  time.Time
	err  error
}

func newWire(ctx context.Context, conn net.Conn, rtt time.Duration) *wire {
	return &wire{Conn: conn, ctx: ctx, rtt: rtt, flights: make(chan flight, 16)}
}

// pump reads the connection until it ends.
func (w *wire) pump() {
	for {
		buffer := make([]byte, 4<<10)
		n, err := w.Conn.Read(buffer)
		select {
		case w.flights <- flight{data: buffer[:n], due: time.Now().Add(w.rtt), err: err}:
		case <-w.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// Read waits for the next flight.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.rest) == 0 {
		if w.err != nil {
			return 0, w.err
		}
		select {
		case f := <-w.flights:
			w.rest, w.err = f.data, f.err
			if !pause(w.ctx, time.Until(f.due)) {
				return 0, net.ErrClosed
			}
		case <-w.ctx.Done():
			return 0, net.ErrClosed
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}
