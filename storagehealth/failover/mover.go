// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managerv1alpha1 "roost.dev/roost/apis/manager/v1alpha1"
	"roost.dev/roost/internal/podvolumes"
	"roost.dev/roost/storagehealth/candidates"
	"roost.dev/roost/storagehealth/verdict"
)

// Options are what a Mover needs. All are required.
type Options struct {
	// Client reads from the API server itself, never from a cache, and writes.
	Client client.Client
	// Informers give VolumeAttachments, claims, PersistentVolumes and StorageClasses. Their owner starts them, after New.
	Informers informers.SharedInformerFactory
	Prover    Prover
	// Sharing returns the pods on the node that use the PersistentVolume, from memory.
	Sharing  func(node, persistentVolume string) []*corev1.Pod
	Config   managerv1alpha1.Failover
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Metrics  *Metrics
}

// Mover moves pods. Its methods may be called at the same time for different nodes.
type Mover struct {
	client      client.Client
	attachments cache.Indexer
	volumes     cache.Indexer
	csiDrivers  storagelisters.CSIDriverLister
	resolver    *podvolumes.Resolver
	prover      Prover
	sharing     func(node, persistentVolume string) []*corev1.Pod
	config      managerv1alpha1.Failover
	recorder    events.EventRecorder
	clock       clock.PassiveClock
	metrics     *Metrics
	budget      *budget

	mu     sync.Mutex
	memory memory
}

// New returns a mover, and adds what it needs to the informers.
func New(o Options) (*Mover, error) {
	attachments := o.Informers.Storage().V1().VolumeAttachments().Informer()
	if err := attachments.AddIndexers(cache.Indexers{byNode: indexByNode}); err != nil {
		return nil, fmt.Errorf("indexing VolumeAttachments by node: %w", err)
	}
	volumes := o.Informers.Core().V1().PersistentVolumes().Informer()
	if err := volumes.AddIndexers(cache.Indexers{byHandle: indexByHandle}); err != nil {
		return nil, fmt.Errorf("indexing PersistentVolumes by handle: %w", err)
	}
	return &Mover{
		client:      o.Client,
		attachments: attachments.GetIndexer(),
		volumes:     volumes.GetIndexer(),
		csiDrivers:  o.Informers.Storage().V1().CSIDrivers().Lister(),
		resolver: &podvolumes.Resolver{
			Claims:  o.Informers.Core().V1().PersistentVolumeClaims().Lister(),
			PVs:     o.Informers.Core().V1().PersistentVolumes().Lister(),
			Classes: o.Informers.Storage().V1().StorageClasses().Lister(),
		},
		prover:   o.Prover,
		sharing:  o.Sharing,
		config:   o.Config,
		recorder: o.Recorder,
		clock:    o.Clock,
		metrics:  o.Metrics,
		budget:   newBudget(int(o.Config.PodsPerMinute), o.Clock),
		memory:   newMemory(),
	}, nil
}

// Job is a node to move pods away from.
type Job struct {
	Provisioner, Node string
	// Cause tells a person why, in events.
	Cause string
	// Candidates are the pods on the node with volumes of the provisioner. Those with a refusal are left alone.
	Candidates []candidates.Candidate
	// MayMove says, at the moment it is called, whether pods on the node with volumes of those provisioners may be moved,
	// and else which brake holds. The job's own provisioner and node are always asked for too.
	MayMove func(node string, provisioners []string) (verdict.Brake, bool)
	// Judge says why a pod that was just read has to stay, of those on the node and of the other pods of a gang.
	Judge func(live *corev1.Pod) (candidates.Refusal, error)
}

// key is the failure that the job is about.
func (job *Job) key() verdict.Key { return verdict.Key{Provisioner: job.Provisioner, Node: job.Node} }

// Progress is what a pod that may be moved waits for.
type Progress struct {
	Pod             *corev1.Pod
	Reason, Message string
}

// Result is how far a node is.
type Result struct {
	// Progress is of the pods that may be moved and are still there.
	Progress []Progress
	// Detaching is how many volumes that no pod on a dead node uses any more are still attached to it.
	Detaching int
}

// Advance takes for each pod the step that is due, and returns what each of them waits for then. An error means that the
// node itself could not be looked at; what goes wrong with one pod is in its progress, and the others go on.
func (m *Mover) Advance(ctx context.Context, job *Job) (Result, error) {
	node, err := m.readNode(ctx, job.Node)
	if err != nil {
		return Result{}, err
	}
	var result Result
	wholeNode := false
	if m.mayTaint(node) {
		wholeNode, result.Detaching, err = m.settle(ctx, job, node)
	} else {
		err = m.untaint(ctx, node)
	}
	if err != nil {
		return Result{}, err
	}
	for i := range job.Candidates {
		c := &job.Candidates[i]
		if !c.Movable() {
			continue
		}
		if reason, message := m.advance(ctx, job, c, node, wholeNode); reason != "" {
			result.Progress = append(result.Progress, Progress{Pod: c.Pod, Reason: reason, Message: message})
		}
	}
	return result, nil
}

// settle sees to the taint of a dead node and to the volumes that no pod there uses any more. It says whether the node is out
// as a whole, and how many of those volumes are still to be detached.
func (m *Mover) settle(ctx context.Context, job *Job, node *corev1.Node) (wholeNode bool, detaching int, err error) {
	leftovers := m.leftovers(node)
	detaching = len(leftovers) + m.believed(node)
	wholeNode, err = m.settleTaint(ctx, job, node, anyMovable(job) || detaching > 0)
	if err == nil && !wholeNode {
		err = m.detachLeftovers(ctx, job, node, leftovers)
	}
	return wholeNode, detaching, err
}

func anyMovable(job *Job) bool {
	for i := range job.Candidates {
		if job.Candidates[i].Movable() {
			return true
		}
	}
	return false
}

// advance takes one step for one pod. An empty reason means that the pod is gone.
func (m *Mover) advance(ctx context.Context, job *Job, c *candidates.Candidate, node *corev1.Node, wholeNode bool) (reason, message string) {
	due, lacking := m.due(job, c, node, wholeNode)
	switch {
	case due == lackProof:
		return NeedsProof, needsProof(node, c.Pod, lacking)
	case m.config.Mode == managerv1alpha1.DryRun:
		return m.wouldMove(job, c, due)
	}
	reason, message, err := m.take(ctx, job, c, due, target{pod: c.Pod, volumes: c.Volumes, nodeDead: dead(node)})
	var brake brakeError
	var refusal refusalError
	switch {
	case err == nil:
		return reason, message
	case errors.Is(err, errGone):
		return "", ""
	case errors.As(err, &brake):
		return Braked, brake.Error()
	case errors.As(err, &refusal):
		return refusal.Reason, refusal.Message
	case errors.Is(err, errChanged):
		return Due, "the node or the pod changed meanwhile; it is looked at again"
	default:
		klog.FromContext(ctx).Error(err, "Moving a pod failed; it is tried again", "pod", klog.KObj(c.Pod), "node", klog.KRef("", job.Node))
		return Failed, "the API server refused; the controller manager's log has the error, and it is tried again"
	}
}

// needsProof tells an operator what Roost cannot do, and what it would take.
func needsProof(node *corev1.Node, pod *corev1.Pod, lacking string) string {
	if dead(node) {
		return fmt.Sprintf("%s. Make sure that the node is powered off, then: kubectl taint node %s %s=nodeshutdown:NoExecute. "+
			"It ends every pod there; remove it when the node is back", lacking, node.Name, corev1.TaintNodeOutOfService)
	}
	if otherStorage(pod) != "" {
		return fmt.Sprintf("it does not terminate, and %s. Restart the node", lacking)
	}
	return fmt.Sprintf("it does not terminate, and %s. Restart the node, or fence it in the storage system", lacking)
}

// due is the step that is due, and where it is lackProof, what there is no proof of.
func (m *Mover) due(job *Job, c *candidates.Candidate, node *corev1.Node, wholeNode bool) (step, string) {
	attachments := m.attachmentsOf(job, c)
	detaching := true
	for _, attachment := range attachments {
		detaching = detaching && attachment.DeletionTimestamp != nil
	}
	ok, lacking := proven(m.prover, node, c.Pod, c.Volumes)
	return decide(view{
		nodeDead:    dead(node),
		wholeNode:   wholeNode,
		terminating: c.Pod.DeletionTimestamp != nil,
		overdue:     m.overdue(c.Pod),
		removed:     removedByForce(c.Pod),
		proven:      ok,
		guarded:     guarded(m.csiDrivers, c.Pod, c.Volumes),
		attached:    len(attachments) > 0,
		detaching:   detaching,
	}), lacking
}

// terminationSlack is how long after its grace period a pod may still be on a node: the kubelet unmounts and reports.
const terminationSlack = 10 * time.Second

// overdue says that the pod should have ended.
func (m *Mover) overdue(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && m.clock.Now().After(pod.DeletionTimestamp.Add(terminationSlack))
}

// removedByForce says that the pod was deleted without asking its kubelet, and that finalizers hold it.
func removedByForce(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0 &&
		len(pod.Finalizers) > 0
}
