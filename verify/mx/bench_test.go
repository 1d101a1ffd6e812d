package mx_test

import (
	"testing"

	"presend/verify/mx"
)

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		r, err := mx.New(mx.Config{Servers: []string{"127.0.0.1:53"}})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
