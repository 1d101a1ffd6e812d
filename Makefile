# make alone says what can be made. make test does all the set-up it needs, runs every check this machine can run, and
# names what it left out.
GOBIN := $(CURDIR)/.tools
export GOBIN
export PATH := $(GOBIN):$(PATH)

GOFUMPT := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Every part says how long it took; test shows all of them at its end.
timed = @.ci/timed

.PHONY: help
help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the command, bin/verify
	go build -o bin/verify ./cmd/verify

.PHONY: test
test: ## lint, unit and e2e, which is what CI runs
	@mkdir -p bin && rm -f bin/times
	@status=0; TIMES=$(CURDIR)/bin/times $(MAKE) --no-print-directory lint unit e2e || status=$$?; \
	  echo; echo "Times:"; cat bin/times; exit $$status

.PHONY: lint
lint: tools ## vet (on all platforms), gofumpt, staticcheck, govulncheck
	$(timed) gofumpt sh -c 'unformatted=$$(gofumpt -l .) && { [ -z "$$unformatted" ] || { echo "not formatted by gofumpt:"; echo "$$unformatted"; exit 1; }; }'
	$(timed) 'vet e2e' go vet -tags e2e ./e2e
	$(timed) platforms .ci/platforms
	$(timed) staticcheck staticcheck ./...
	$(timed) govulncheck .ci/vulnerabilities

.PHONY: tools
tools:
	$(timed) tools go install $(GOFUMPT)
	$(timed) tools go install $(STATICCHECK)
	@go install $(GOVULNCHECK) || echo "govulncheck cannot be had from here"

.PHONY: unit
# SQLite in Go is left without the race detector, under which it takes half of all the time.
unit: ## all packages with the race detector
	$(timed) unit go test -race -gcflags='modernc.org/...=-race=false' ./...

# Needs root and Debian's packages; says so and goes on where it has neither, but not under CI, where it must run.
.PHONY: e2e
e2e: ## the whole job against real mail and name servers (root, Debian; see e2e/README.md)
	$(timed) e2e go test -tags e2e -count=1 -timeout 30m -v ./e2e

.PHONY: bench
bench: ## measure, some six minutes (see docs/performance.md); the tables as JSON are in bench/out
	mkdir -p bench/out
	go run ./bench/internet -json bench/out/internet.json
	go run ./bench/dns -json bench/out/dns.json
	go run ./bench/csv -json bench/out/csv.json
	go run ./bench/nightly -json bench/out/nightly.json
	go test -run '^$$' -bench . ./verify/... ./lists/... ./bounce/...

# Not in CI: a mutant costs the time of its package's tests. MUTANTS=40 SEED=7 draws fewer, and the same ones again.
MUTANTS ?= 300
SEED ?= 0
.PHONY: mutants
mutants: ## change the code at random and list the changes that no test notices (MUTANTS=300 SEED=0)
	go run ./internal/mutants -n $(MUTANTS) -seed $(SEED) ./verify/... ./state/... ./lists/... ./suppression

FUZZTIME ?= 60s
.PHONY: fuzz
fuzz: ## run every fuzz target for a while (FUZZTIME=60s)
	@for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    .ci/timed "$$target" go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s $$package || exit 1; \
	  done; \
	done

.PHONY: licences
licences: ## collect the licence texts of all Go modules in the program, bin/licences
	.ci/licences bin/licences
