package lab

import (
	"bytes"
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
	arrived time.Time // when the flight that was read last arrived
	err     error
}

type flight struct {
	data    []byte
	arrived time.Time
	err     error
}

func newWire(ctx context.Context, conn net.Conn, rtt time.Duration) *wire {
	return &wire{Conn: conn, ctx: ctx, rtt: rtt, flights: make(chan flight, 16)}
}

// pump reads the connection until it ends.
func (w *wire) pump() {
	buffer := make([]byte, pipeline)
	for {
		n, err := w.Conn.Read(buffer)
		select {
		case w.flights <- flight{data: bytes.Clone(buffer[:n]), arrived: time.Now(), err: err}:
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
			w.rest, w.err, w.arrived = f.data, f.err, f.arrived
			if !pause(w.ctx, time.Until(f.arrived.Add(w.rtt))) {
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
