// The Go side of the benchmark. It does one case once and prints the nanoseconds it took:
//
//	peer -case=pipe -chunk=65536 -count=4000
//
// Every case does what the Python contenders beside it do: one goroutine produces, another consumes, and the consumer
// checks that everything arrived.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

var (
	name    = flag.String("case", "", "pipe, ospipe, channel, pool or sleepers")
	count   = flag.Int("count", 1, "chunks, items or jobs")
	chunk   = flag.Int("chunk", 65536, "bytes per write and size of the read buffer (pipe, ospipe)")
	size    = flag.Int("size", 0, "items that may wait (channel)")
	workers = flag.Int("workers", 8, "goroutines (pool, sleepers)")
)

func main() {
	flag.Parse()
	cases := map[string]func() error{
		"pipe": ioPipe, "ospipe": osPipe, "channel": channel, "pool": pool, "sleepers": sleepers,
	}
	run, known := cases[*name]
	if !known {
		fail(fmt.Errorf("unknown case %q", *name))
	}
	start := time.Now()
	if err := run(); err != nil {
		fail(err)
	}
	fmt.Println(time.Since(start).Nanoseconds())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func expect(actual, wanted int) error {
	if actual != wanted {
		return fmt.Errorf("expected %d, got %d", wanted, actual)
	}
	return nil
}

func ioPipe() error {
	reader, writer := io.Pipe()
	return stream(reader, writer)
}

func osPipe() error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	return stream(reader, writer)
}

// stream writes count chunks in one goroutine and reads them into one reused buffer in this one.
func stream(reader io.Reader, writer io.WriteCloser) error {
	failed := make(chan error, 1)
	go func() {
		defer writer.Close()
		// Filled, so that its pages are real memory and not one shared page of zeros.
		payload := bytes.Repeat([]byte{'p'}, *chunk)
		for i := 0; i < *count; i++ {
			if _, err := writer.Write(payload); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	total := 0
	buffer := make([]byte, *chunk)
	for {
		n, err := reader.Read(buffer)
		total += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := <-failed; err != nil {
		return err
	}
	return expect(total, *count**chunk)
}

func channel() error {
	items := make(chan int, *size)
	go func() {
		defer close(items)
		for i := 0; i < *count; i++ {
			items <- i
		}
	}()
	total := 0
	for item := range items {
		total += item
	}
	return expect(total, *count*(*count-1)/2)
}

// pool submits count tiny jobs to the workers, then collects every result.
func pool() error {
	return runPool(func(i int) int { return i })
}

// sleepers submits count jobs of 100 ms.
func sleepers() error {
	return runPool(func(i int) int { time.Sleep(100 * time.Millisecond); return i })
}

func runPool(job func(int) int) error {
	jobs := make(chan int)
	results := make([]int, *count)
	var done sync.WaitGroup
	for w := 0; w < *workers; w++ {
		done.Add(1)
		go func() {
			defer done.Done()
			for i := range jobs {
				results[i] = job(i)
			}
		}()
	}
	for i := 0; i < *count; i++ {
		jobs <- i
	}
	close(jobs)
	done.Wait()
	total := 0
	for _, result := range results {
		total += result
	}
	return expect(total, *count*(*count-1)/2)
}
