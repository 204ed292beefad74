// A private FerretDB for tests: a server that speaks MongoDB's protocol and is not ours.
//
//	ferretdb FOLDER
//
// It keeps its data in FOLDER, in SQLite, and listens on a free port of the loopback. The first line it prints is JSON
// with that port and the port of its books, where `GET /` answers how many cursors it has opened and closed. FerretDB
// tells that to its log alone, so the log is where it is counted. The server ends with its standard input.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// cursorBooks is a log handler that counts cursors, and writes what is worth reading to standard error.
type cursorBooks struct {
	slog.Handler
	opened, closed *atomic.Int64
	areKeptHere    bool // whether this is the log of cursors; to write every debug message would take seconds
}

func (b cursorBooks) Enabled(ctx context.Context, level slog.Level) bool {
	return b.areKeptHere || b.Handler.Enabled(ctx, level)
}

func (b cursorBooks) Handle(ctx context.Context, record slog.Record) error {
	switch record.Message {
	case "Creating cursor":
		b.opened.Add(1)
	case "Removing cursor":
		b.closed.Add(1)
	}
	if b.Handler.Enabled(ctx, record.Level) {
		return b.Handler.Handle(ctx, record)
	}
	return nil
}

func (b cursorBooks) WithAttrs(attrs []slog.Attr) slog.Handler {
	b.Handler = b.Handler.WithAttrs(attrs)
	for _, attr := range attrs {
		b.areKeptHere = b.areKeptHere || attr.Key == "name" && attr.Value.String() == "cursors"
	}
	return b
}

func (b cursorBooks) WithGroup(name string) slog.Handler {
	b.Handler = b.Handler.WithGroup(name)
	return b
}

func (b cursorBooks) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	_ = json.NewEncoder(w).Encode(map[string]int64{"opened": b.opened.Load(), "closed": b.closed.Load()})
}

func run(folder string) error {
	quiet := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})
	books := cursorBooks{Handler: quiet, opened: new(atomic.Int64), closed: new(atomic.Int64)}

	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(books),
		Handler:   "sqlite",
		SQLiteURL: "file:" + folder + "/",
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()

	counting, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(counting, books) }()

	address, err := url.Parse(server.MongoDBURI()) // waits until the server listens
	if err != nil {
		return err
	}
	fmt.Printf("{\"port\": %s, \"books\": %d}\n", address.Port(), counting.Addr().(*net.TCPAddr).Port)

	_, _ = io.Copy(io.Discard, os.Stdin)
	stop()
	return <-ended
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: ferretdb FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}
