// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	snapshotv1alpha1 "roost.dev/roost/apis/snapshot/v1alpha1"
	"roost.dev/roost/internal/mirror/mirrortest"
)

// recorded is a reconciler that writes down what it was asked to look after.
type recorded struct {
	mu    sync.Mutex
	names []string
}

func (r *recorded) Reconcile(_ context.Context, request reconcile.Request) (reconcile.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = append(r.names, request.String())
	return reconcile.Result{}, nil
}

// take gives what was looked after since the last time, each once.
func (r *recorded) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := slices.Compact(slices.Sorted(slices.Values(r.names)))
	r.names = nil
	return names
}

func (r *recorded) expect(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		got = slices.Compact(slices.Sorted(slices.Values(append(got, r.take()...))))
		return len(got) >= len(want), nil
	})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("looked after (-want +got): %v\n%s", err, diff)
	}
}

func testScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, snapshotv1alpha1.AddToScheme, snapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

// running starts a feed over an API server of custom resources, and claims.
func running(t *testing.T, api *mirrortest.API, claims ...runtime.Object) *Feed {
	t.Helper()
	factory := informers.NewSharedInformerFactory(kubefake.NewClientset(claims...), 0)
	feed, err := NewFeed(FeedOptions{Client: api, Informers: factory, Scheme: testScheme(t), Clock: clock.RealClock{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	t.Cleanup(func() { cancel(); group.Wait(); factory.Shutdown() })
	factory.StartWithContext(ctx)
	group.Go(func() { _ = feed.Start(ctx) })
	if !feed.WaitForSync(ctx) {
		t.Fatal("what is followed has not synced")
	}
	return feed
}

// run runs a loop with the test.
func run(t *testing.T, feed *Feed, r reconcile.Reconciler, sources ...source.Source) {
	t.Helper()
	l := &loop{name: "test", feed: feed, reconciler: r, workers: 1, sources: sources}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the loop ended with %v", err)
		}
	})
}

func appSnapshot(namespace, name string) *snapshotv1alpha1.ApplicationSnapshot {
	return &snapshotv1alpha1.ApplicationSnapshot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func notServed() error {
	return &meta.NoKindMatchError{}
}

func TestALoopLooksAfterWhatThereIsAndWhatChanges(t *testing.T) {
	api := mirrortest.New()
	api.Write(appSnapshot("db", "first"))
	feed := running(t, api)
	r := &recorded{}
	run(t, feed, r, listened(feed.snapshots, itself[*snapshotv1alpha1.ApplicationSnapshot]))
	r.expect(t, "db/first")

	api.Write(appSnapshot("web", "second"))
	r.expect(t, "web/second")
	api.Remove(appSnapshot("db", "first"))
	r.expect(t, "db/first")
}

// A manager that begins, and finds thousands of snapshots, thaws before it looks at any of them.
func TestWhatIsFrozenComesFirst(t *testing.T) {
	api := mirrortest.New()
	for i := range 100 {
		api.Write(appSnapshot("db", fmt.Sprintf("waits-%d", i)))
	}
	frozen := appSnapshot("db", "frozen")
	frozen.Status.Freeze = &snapshotv1alpha1.Freeze{State: snapshotv1alpha1.Frozen}
	api.Write(frozen)
	feed := running(t, api)
	first := make(chan string, 1)
	run(t, feed, reconcile.Func(func(_ context.Context, request reconcile.Request) (reconcile.Result, error) {
		select {
		case first <- request.Name:
		default:
		}
		return reconcile.Result{}, nil
	}), listenedBy(feed.snapshots, itself[*snapshotv1alpha1.ApplicationSnapshot], ofSnapshot))
	if got := <-first; got != "frozen" {
		t.Errorf("looked at %s first, want what is frozen", got)
	}
}

// Snapshots of a cluster without the CSI snapshot API are pending, and the loop runs.
func TestAKindThatIsNotServedStopsNoLoop(t *testing.T) {
	api := mirrortest.New()
	api.Uninstall("VolumeSnapshot", notServed())
	api.Write(appSnapshot("db", "first"))
	feed := running(t, api)
	r := &recorded{}
	run(t, feed, r, listened(feed.snapshots, itself[*snapshotv1alpha1.ApplicationSnapshot]))
	r.expect(t, "db/first")
	var list snapshotv1.VolumeSnapshotList
	if err := feed.Reader().List(t.Context(), &list); !meta.IsNoMatchError(err) {
		t.Errorf("listing VolumeSnapshots: %v, want that they are not served", err)
	}
}

func TestTheFeedReadsWhatItFollows(t *testing.T) {
	api := mirrortest.New()
	api.Write(appSnapshot("db", "first"))
	feed := running(t, api, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "data"}})
	var snapshot snapshotv1alpha1.ApplicationSnapshot
	if err := feed.Reader().Get(t.Context(), client.ObjectKey{Namespace: "db", Name: "first"}, &snapshot); err != nil {
		t.Error(err)
	}
	var claims corev1.PersistentVolumeClaimList
	if err := feed.Reader().List(t.Context(), &claims, client.InNamespace("db")); err != nil || len(claims.Items) != 1 {
		t.Errorf("%d claims, %v", len(claims.Items), err)
	}
}

func TestInformersAndWakersWakeALoop(t *testing.T) {
	feed := running(t, mirrortest.New(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "data"}})
	r, gate := &recorded{}, &waker{}
	gate.wake(types.NamespacedName{Namespace: "db", Name: "before it runs"})
	run(t, feed, r, gate.source(), informed(feed.claims, itself[*corev1.PersistentVolumeClaim]))
	r.expect(t, "db/data")
	gate.wake(types.NamespacedName{Namespace: "db", Name: "waited"})
	r.expect(t, "db/waited")
}

func TestWhatHasBegunGoesFirst(t *testing.T) {
	for name, woken := range map[string]queue{
		"in a queue with an order": priorityqueue.New[reconcile.Request]("ordered"),
		"in one without":           workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()),
	} {
		t.Run(name, func(t *testing.T) {
			defer woken.ShutDown()
			begun := types.NamespacedName{Namespace: "db", Name: "begun"}
			want := []string{"db/waits", "db/begun"}
			if _, ordered := woken.(priorityqueue.PriorityQueue[reconcile.Request]); ordered {
				want = []string{"db/begun", "db/waits"}
			}
			woken.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "db", Name: "waits"}})
			(&waker{woken: woken}).wake(begun)
			for _, name := range want {
				if next, _ := woken.Get(); next.String() != name {
					t.Errorf("next is %s, want %s", next, name)
				}
			}
		})
	}
}

func TestAListenerThatStoppedHearsNothing(t *testing.T) {
	api := mirrortest.New()
	feed := running(t, api)
	heard := make(chan string, 10)
	tell := func(object *snapshotv1alpha1.ApplicationSnapshot) { heard <- object.Name }
	stop := feed.snapshots.listen(tell)
	stopAgain := feed.snapshots.listen(tell)
	defer stopAgain()
	stop()
	api.Write(appSnapshot("db", "first"))
	api.Write(appSnapshot("db", "second"))
	if first, second := <-heard, <-heard; first != "first" || second != "second" {
		t.Errorf("heard %q and %q: the one that stopped hears as well", first, second)
	}
}

// A restore is read from the API server by whoever is woken for it, so that nobody is woken for the other kind.
func TestEachKindOfRestoreWakesItsOwnHalf(t *testing.T) {
	intoNew := ifInto(func(spec *snapshotv1alpha1.SnapshotRestoreSpec) bool { return spec.NewClaims != nil })
	one := &snapshotv1alpha1.SnapshotRestore{ObjectMeta: metav1.ObjectMeta{Namespace: "db", Name: "back"}}
	one.Spec.InPlace = &snapshotv1alpha1.InPlace{}
	if got := intoNew(one); len(got) > 0 {
		t.Errorf("one in place wakes %v of the other half", got)
	}
	one.Spec.InPlace, one.Spec.NewClaims = nil, &snapshotv1alpha1.NewClaims{Suffix: "-copy"}
	if got, want := intoNew(one), []types.NamespacedName{{Namespace: "db", Name: "back"}}; !slices.Equal(got, want) {
		t.Errorf("one into new claims wakes %v, want %v", got, want)
	}
}
