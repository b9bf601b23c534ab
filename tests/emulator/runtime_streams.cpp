// The runtime's calls for streams, events and graphs.
#include "tests/emulator/allocations.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/faults.h"
#include "tests/emulator/stream.h"

using namespace emulator;

namespace {

// What a stream may not do while it is captured, since nothing runs.
bool refuse_in_capture(const Stream& stream, const char* call) {
  if (!stream.capturing()) return false;
  report(FaultKind::usage, text_of("%s while the stream is captured", call));
  set_error(cudaErrorStreamCaptureUnsupported);
  return true;
}

// The host waits: one count, whatever there is to do. Faults of the work are the call's error.
cudaError_t waited() {
  ++counters().waits;
  return cudaPeekAtLastError();
}

// Whether all that a captured piece of work was given is still what it was.
bool memory_is_there(const Node& node) {
  for (const auto& [address, number] : node.memory) {
    const Allocation* allocation = find_allocation(address);
    if (allocation != nullptr && allocation->number == number) continue;
    report(FaultKind::usage, text_of("%s in a graph: the memory at %p was freed after the capture",
                                     node.name.c_str(), address));
    set_error(cudaErrorInvalidValue);
    return false;
  }
  return true;
}

bool passed(const Event& event) {
  return event.stream == nullptr || event.stream->finished(event.position);
}

}  // namespace

cudaError_t cudaDeviceSynchronize() {
  int device = 0;
  cudaGetDevice(&device);
  Stream::finish_device(device);
  return waited();
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  int device = 0;
  cudaGetDevice(&device);
  *stream = new Stream(device, (flags & cudaStreamNonBlocking) == 0);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  static std::vector<std::unique_ptr<Stream>> destroyed;  // events may still name them
  stream->finish();
  destroyed.emplace_back(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Stream* target = Stream::of(stream);
  if (refuse_in_capture(*target, "cudaStreamSynchronize")) return cudaErrorStreamCaptureUnsupported;
  target->finish();
  return waited();
}
// Each question does one piece of work, so that a loop that asks comes to an end.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  Stream* target = Stream::of(stream);
  if (target->finished(target->added())) return cudaSuccess;
  target->do_one();
  return cudaErrorNotReady;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  Stream* target = Stream::of(stream);
  if (refuse_in_capture(*target, "cudaStreamWaitEvent")) return cudaErrorStreamCaptureUnsupported;
  if (event->stream == nullptr || event->stream == target) return cudaSuccess;
  target->add([other = event->stream, position = event->position] { other->finish(position); });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new Event;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event->stream != nullptr) event->stream->finish(event->position);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Stream* target = Stream::of(stream);
  if (refuse_in_capture(*target, "cudaEventRecord")) return cudaErrorStreamCaptureUnsupported;
  target->add([event] { event->passed = std::chrono::steady_clock::now(); });
  event->stream = target;
  event->position = target->added();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream != nullptr) event->stream->finish(event->position);
  return waited();
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (passed(*event)) return cudaSuccess;
  event->stream->do_one();
  return cudaErrorNotReady;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!passed(*start) || !passed(*end)) return cudaErrorNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(end->passed - start->passed).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  Stream* target = Stream::of(stream);
  if (stream == nullptr || target->capturing()) {
    report(FaultKind::usage, "cudaStreamBeginCapture of the default stream, or of one twice");
    return cudaErrorStreamCaptureUnsupported;
  }
  target->begin_capture(mode != cudaStreamCaptureModeRelaxed);
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = Stream::of(stream)->end_capture().release();
  return *graph == nullptr ? cudaErrorInvalidValue : cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  *executable = new Graph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  Stream* target = Stream::of(stream);
  for (const Node& node : executable->nodes) {
    if (!memory_is_there(node)) return cudaErrorInvalidValue;
  }
  ++counters().graph_launches;
  if (!target->capturing()) ++counters().submissions;
  for (const Node& node : executable->nodes) target->add(node);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
