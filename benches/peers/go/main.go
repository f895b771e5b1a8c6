// A candidate as a careful application would write it on etcd's own Go package, `clientv3/concurrency`:
// a session, an election, and a flag that is "elected, and Session.Done not closed".
//
// It says on stdout, a line at once, `elected KEY` and `lost`; and on HTTP, `GET /leader`, 200 where the flag
// is up and 503 where it is not. A session that ended is followed by a new one, after an error a tenth of a
// second later. SIGTERM: resign, close the session, leave.
//
// With -observe it knows who leads while it waits, as an application that passes requests on to the leader does.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
)

// What is held: nil where nothing is.
var held atomic.Value

// The value of the leader's key, where that is observed.
var leader atomic.Value

type leadership struct {
	election *concurrency.Election
	session  *concurrency.Session
}

func (l *leadership) leads() bool {
	if l == nil {
		return false
	}
	select {
	case <-l.session.Done():
		return false
	default:
		return true
	}
}

func main() {
	endpoint := flag.String("endpoint", "http://127.0.0.1:2379", "of etcd")
	election := flag.String("election", "", "the prefix of its keys")
	id := flag.String("id", "", "the value of the key")
	ttl := flag.Int("ttl", 5, "of the lease, in seconds")
	address := flag.String("http", "127.0.0.1:0", "where to answer")
	observe := flag.Bool("observe", false, "keep track of who leads, and answer with it")
	flag.Parse()

	held.Store((*leadership)(nil))
	leader.Store("")
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/leader", answer)
	go http.Serve(listener, nil)

	ctx, cancel := context.WithCancel(context.Background())
	stopping := make(chan os.Signal, 1)
	signal.Notify(stopping, syscall.SIGTERM)
	go func() {
		<-stopping
		cancel()
	}()

	client, err := clientv3.New(clientv3.Config{Endpoints: []string{*endpoint}, DialTimeout: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	for ctx.Err() == nil {
		if err := hold(ctx, client, *election, *id, *ttl, *observe); err != nil && ctx.Err() == nil {
			log.Print(err)
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// One session, from its grant to its end.
func hold(ctx context.Context, client *clientv3.Client, prefix, id string, ttl int, observe bool) error {
	session, err := concurrency.NewSession(client, concurrency.WithTTL(ttl))
	if err != nil {
		return err
	}
	// Revokes the lease; where it is gone already, that fails, and does no harm.
	defer session.Close()
	election := concurrency.NewElection(session, prefix)
	if observe {
		observing, end := context.WithCancel(ctx)
		defer end()
		go func() {
			for response := range election.Observe(observing) {
				leader.Store(string(response.Kvs[0].Value))
			}
		}()
	}
	if err := election.Campaign(ctx, id); err != nil {
		return err
	}
	held.Store(&leadership{election, session})
	fmt.Println("elected", election.Key())
	select {
	case <-session.Done():
		fmt.Println("lost")
	case <-ctx.Done():
		held.Store((*leadership)(nil))
		return election.Resign(context.Background())
	}
	return nil
}

func answer(response http.ResponseWriter, _ *http.Request) {
	if !held.Load().(*leadership).leads() {
		response.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprint(response, leader.Load())
}
