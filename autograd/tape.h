// The tape: the list of ops of one step, walked backwards once and consumed.
//
// A recorded op returns a tensor whose GradSlot says where its gradient will be. Tensor::view keeps
// the slot, so reshaping costs nothing here; other views are ops (autograd/views.h).
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/parameter.h"
#include "core/tensor.h"

namespace tarn::ad {

class Tape;

// Where one input's gradient goes. Kernels write beta * tensor + gradient, so the first gradient
// overwrites and every later one adds in place; nothing is zeroed, nothing is copied.
struct GradTarget {
  Tensor tensor;  // contiguous, of the input's shape; undefined: this input wants no gradient
  double beta = 0;
};

// The targets of one node's inputs, by position; each may be asked for once.
class InputGrads {
 public:
  GradTarget target(std::size_t input);

 private:
  friend class Tape;
  struct Input {
    std::uint32_t slot = 0;  // 0: not on the tape
    Shape shape;
  };
  struct RepeatedGrad {  // a second gradient of one slot from one node: computed apart, then added
    Tensor temporary;
    std::uint32_t slot;
  };
  InputGrads(Tape& tape, const std::vector<Input>& inputs) : tape_(tape), inputs_(inputs) {}

  Tape& tape_;
  const std::vector<Input>& inputs_;
  std::vector<std::uint32_t> taken_;
  std::vector<RepeatedGrad> repeated_;
};

// A tensor that a node keeps for its backward, by its name among the op's arguments; undefined:
// none.
struct SavedTensor {
  const char* name;
  Tensor tensor;
};

// One executed op: what it saved, and how to go back. An op has one output.
class Node {
 public:
  Node() = default;
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  virtual const char* name() const = 0;
  // What backward() reads of the op's arguments and of its output: nobody may write to these
  // between the two. What the node alone has hold of need not be listed.
  virtual std::vector<SavedTensor> saved() const = 0;
  // Called once. grad_out is contiguous, of the output's shape, and the node's own: it may be
  // overwritten, since nobody reads it afterwards.
  virtual void backward(const Tensor& grad_out, InputGrads& inputs) = 0;
};

// Ops are recorded while one of these lives, and only then.
class Recording {
 public:
  explicit Recording(Tape& tape);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
};

// Ops are not recorded while one of these lives, whatever recording is under way on this thread. An
// op that is given a tensor of that recording throws: its gradient would be lost.
class Pause {
 public:
  Pause();
  ~Pause();
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;

 private:
  Tape* paused_;
};

// Whether no element is an infinity or a NaN.
bool is_finite(const Tensor& tensor);
// The first parameter whose value holds one, or null. They are of one dtype and on one device,
// which is waited for once.
const Parameter* find_nonfinite(const std::vector<Parameter*>& parameters);

// The first op that made an infinity or a NaN.
struct NonFinite {
  std::string op;
  bool in_backward = false;
  std::string near;  // the parameter that it, or the last op before it, read
};

// Called during a backward with each parameter that the recording read, once, as soon as what it
// holds is complete: no op that is still to run adds to its gradient. Roughly from the last
// parameter that the forward read to the first.
using GradientHook = std::function<void(const Parameter&)>;

// Used by one thread at a time.
class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Evaluation needs no guard, because training is what has to be asked for. Starts from nothing.
  [[nodiscard]] Recording record() { return Recording(*this); }

  // Walks the nodes last to first and destroys each when it has run: memory falls along the walk,
  // and the order of every sum is the same in every run. The loss is one element, and
  // its gradient is 1, or its share of a sum over several tapes.
  void backward(const Tensor& loss, double grad_out = 1, const GradientHook& complete = {});
  // The same from any output and the gradient of it, which is copied.
  void backward(const Tensor& out, const Tensor& grad_out, const GradientHook& complete = {});
  // The same without the copy: grad_out, contiguous, is the tape's from now on and may be
  // overwritten.
  void backward_taking(const Tensor& out, const Tensor& grad_out);

  // Checks every output and gradient from now on; slow, for finding out what went wrong.
  void watch_nonfinite() { watching_ = true; }
  const std::optional<NonFinite>& first_nonfinite() const { return first_nonfinite_; }

  // Whether to take a checksum of what each op saves, and to refuse its backward with an Error that
  // names the op and the tensor where another program part has written to it since: the gradient
  // would be wrong. From the next recording on; slow, and the default in checked builds only.
  void watch_saved(bool watch) { watching_saved_ = watch; }

  std::size_t nodes() const { return entries_.size(); }

  static Tape* active();  // the one that records on this thread, or nullptr

  // For ops and parameters.
  void push(Tensor& out, std::initializer_list<const Tensor*> inputs, std::unique_ptr<Node> node);
  bool holds(const Tensor& tensor) const {
    return tensor.slot.tape == id_ && tensor.slot.index != 0;
  }
  GradSlot leaf(Parameter& parameter);
  // The tape that an op of these inputs belongs on; nullptr: none, as no input wants a gradient.
  static Tape* recorder_of(std::initializer_list<const Tensor*> inputs);

 private:
  friend class InputGrads;
  friend class Recording;
  struct Slot {
    Shape shape;
    DType dtype = DType::f32;
    Device device;
    Tensor grad;
    bool has_grad = false;
    Parameter* leaf = nullptr;
  };
  struct Entry {
    std::unique_ptr<Node> node;
    std::uint32_t output = 0;
    std::vector<InputGrads::Input> inputs;
    std::vector<std::size_t> checksums;  // of what the node saved, while that is watched
  };

  void start();
  void clear();
  void check_backward(const Tensor& out, const Tensor& grad_out) const;
  void walk(const GradientHook& complete);
  GradTarget target_of(std::uint32_t slot, const Shape& shape);
  void run(Entry entry);
  void check_finite(const Tensor& tensor, const Entry& entry, bool in_backward);
  void check_saved(const Entry& entry) const;
  std::string parameter_near(const Entry& entry) const;

  std::uint32_t id_ = 0;
  std::vector<Slot> slots_;  // slot 0 is nobody's
  std::vector<Entry> entries_;
  bool watching_ = false;
#if defined(TARN_CHECKED)
  bool watching_saved_ = true;
#else
  bool watching_saved_ = false;
#endif
  std::optional<NonFinite> first_nonfinite_;
};

// Ends an op: puts a Node made of the arguments on the active tape, if there is one and any input
// stands on it, and returns the output.
template <class N, class... Args>
Tensor recorded(Tensor out, std::initializer_list<const Tensor*> inputs, Args&&... args) {
  if (Tape* tape = Tape::recorder_of(inputs)) {
    tape->push(out, inputs, std::make_unique<N>(std::forward<Args>(args)...));
  }
  return out;
}

}  // namespace tarn::ad
