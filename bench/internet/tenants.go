package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"presend/bench/figures"
	"presend/internal/lab"
	"presend/verify/smtpprobe"
)

// The size of the world of tenants.
const (
	tenants         = 8_500
	tenantAddresses = 12_000
	tenantServers   = 40
	tenantsUnknown  = 15 // percent of the mailboxes
)

// tenantWorld is a world like Microsoft 365: many small domains, each with an MX name of its own, on few servers.
type tenantWorld struct {
	*internet
	refusals int // one for the question of each tenant, and one for each unknown mailbox
}

// buildTenants makes the world. Each name has the addresses of some of the servers, chosen at random. Each tenant has
// one address of the list, and the other addresses are distributed at random. Servers end a session after this many
// errors, as Postfix does; 0 means never.
func buildTenants(servers, errors int, random *rand.Rand) (*tenantWorld, error) {
	w := &tenantWorld{internet: &internet{world: lab.NewWorld()}, refusals: tenants}
	w.world.Latency = time.Millisecond
	for i := range tenantServers {
		h := lab.Host{
			Name: fmt.Sprintf(
				"server%d.lab",
				i,
			), Latency: 30 * time.Millisecond, Sessions: 20, Rcpts: 100, Errors: errors,
			STARTTLS: true,
		}
		if err := w.world.AddHost(h); err != nil {
			return nil, err
		}
	}
	addresses := make([]int, tenants)
	for i := range tenantAddresses {
		if i >= tenants {
			i = random.IntN(tenants)
		}
		addresses[i]++
	}
	for i, n := range addresses {
		if err := w.addTenant(fmt.Sprintf("tenant%d", i), n, servers, random); err != nil {
			return nil, err
		}
	}
	random.Shuffle(len(w.list), func(i, j int) { w.list[i], w.list[j] = w.list[j], w.list[i] })
	return w, nil
}

func (w *tenantWorld) addTenant(name string, addresses, servers int, random *rand.Rand) error {
	var hosts []string
	for _, i := range random.Perm(tenantServers)[:min(servers, tenantServers)] {
		hosts = append(hosts, fmt.Sprintf("server%d.lab", i))
	}
	host := name + ".mail.protection.outlook.com"
	if err := w.world.AddName(host, hosts...); err != nil {
		return err
	}
	domain := name + ".lab"
	if err := w.world.AddDomain(lab.Domain{Name: domain, MX: []lab.MX{{Host: host}}}); err != nil {
		return err
	}
	for i := range addresses {
		address := fmt.Sprintf("user%d@%s", i, domain)
		w.list = append(w.list, address)
		if random.IntN(100) < tenantsUnknown {
			w.refusals++
		} else if err := w.world.AddMailbox(address, lab.Mailbox); err != nil {
			return err
		}
	}
	return nil
}

// tenants runs the engine over the world of tenants, whose servers end a session after this many errors.
func (o options) tenants(ctx context.Context, errors int, table *figures.Table) error {
	w, err := buildTenants(o.tenantServers, errors, rand.New(rand.NewPCG(o.seed, 0)))
	if err != nil {
		return err
	}
	pace, err := smtpprobe.LoadPace("")
	if err != nil {
		return err
	}
	prefix := fmt.Sprintf("tenants, errors=%d: ", errors)
	table.Add(prefix+"addresses", float64(len(w.list)), "")
	ours, err := o.scheduled(ctx, w.internet, table, prefix)
	if err != nil {
		return err
	}
	table.Add(prefix+"addresses a session", float64(len(w.list))/float64(ours.connections), "")
	limit := pace.For("microsoft").Errors
	for _, refusals := range []int{limit + 1, 2*limit + 1} {
		allowed := float64(len(w.list)) / float64(ceil(w.refusals, refusals))
		table.Add(fmt.Sprintf("%sallowed at %d refusals a session", prefix, refusals), allowed, "")
	}
	return nil
}
