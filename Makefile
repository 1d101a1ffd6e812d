# make test does all the set-up it needs, runs every check this machine can run, and names what it left out.
GOBIN := $(CURDIR)/.tools
export GOBIN
export PATH := $(GOBIN):$(PATH)

GOFUMPT := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: build test lint unit e2e bench
build:
	go build -o bin/verify ./cmd/verify

test: lint unit e2e

lint:
	go vet ./...
	go install $(GOFUMPT)
	@unformatted=$$(gofumpt -l .); if [ -n "$$unformatted" ]; then echo "not formatted by gofumpt:"; echo "$$unformatted"; exit 1; fi
	go install $(STATICCHECK)
	staticcheck ./...
	go vet -tags e2e ./e2e
	@go install $(GOVULNCHECK) && { govulncheck ./...; status=$$?; \
	  if [ $$status -eq 3 ]; then exit 1; elif [ $$status -ne 0 ]; then echo "LEFT OUT: govulncheck, its database cannot be reached from here"; fi; }

unit:
	go test -race ./...

# The same job on software nobody here wrote. Needs root and Debian's packages; says so and goes on where it has neither,
# but not under CI, where it must run.
e2e:
	go test -tags e2e -count=1 -timeout 30m -v ./e2e

# What docs/performance.md tells of: tables on standard output, the same as JSON in bench/out. Some six minutes.
bench:
	mkdir -p bench/out
	go run ./bench/internet -json bench/out/internet.json
	go run ./bench/dns -json bench/out/dns.json
	go run ./bench/csv -json bench/out/csv.json
	go run ./bench/nightly -json bench/out/nightly.json
	go test -run '^$$' -bench . ./verify/... ./lists/... ./bounce/...
