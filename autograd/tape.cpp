#include "autograd/tape.h"

#include <algorithm>
#include <atomic>
#include <span>
#include <string_view>

#include "core/transfer.h"
#include "kernels/copy.h"
#include "kernels/optimizer.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

thread_local Tape* active_tape = nullptr;
thread_local Tape* paused_tape = nullptr;

// Each recording gets its own number, so that a tensor of an earlier one is not taken for this
// one's.
std::uint32_t next_tape_id() {
  static std::atomic<std::uint32_t> last{0};
  return ++last;
}

// Of the elements' bytes, in row-major order. Of a tensor on another device than the CPU none is
// taken.
std::size_t checksum(const Tensor& tensor) {
  if (!tensor.defined() || tensor.device().kind != DeviceKind::cpu) return 0;
  const Tensor bytes = tensor.is_contiguous() ? tensor : copy_to(tensor, tensor.device());
  return std::hash<std::string_view>{}(
      {reinterpret_cast<const char*>(bytes.raw()), static_cast<std::size_t>(bytes.bytes())});
}

std::vector<std::size_t> checksums(const Node& node) {
  std::vector<std::size_t> out;
  for (const SavedTensor& saved : node.saved()) out.push_back(checksum(saved.tensor));
  return out;
}

// How many elements of each tensor are infinities or NaN.
std::vector<double> count_nonfinite(const std::vector<Tensor>& tensors) {
  const Device device = tensors.front().device();
  const Tensor totals =
      Tensor::empty({static_cast<std::int64_t>(tensors.size())}, DType::f64, device);
  kernels::run(&kernels::Table::count_nonfinite, device, {.x = tensors, .totals = totals});
  HostCopy copy(totals);
  const std::span<const double> counts = copy.wait<double>();
  return {counts.begin(), counts.end()};
}

}  // namespace

bool is_finite(const Tensor& tensor) { return count_nonfinite({tensor}).front() == 0; }

const Parameter* find_nonfinite(const std::vector<Parameter*>& parameters) {
  if (parameters.empty()) return nullptr;
  std::vector<Tensor> values;
  values.reserve(parameters.size());
  for (const Parameter* parameter : parameters) values.push_back(parameter->value());
  const std::vector<double> counts = count_nonfinite(values);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) return parameters[i];
  }
  return nullptr;
}

Tensor Parameter::tensor() {
  Tensor out = value_;
  if (active_tape != nullptr) {
    out.slot = active_tape->leaf(*this);
  } else if (paused_tape != nullptr) {
    // What runs in a pause runs again in the backward of the op that paused, and gives its gradient
    // then: the parameter is known from here on, and complete when that op is done.
    paused_tape->leaf(*this);
  }
  return out;
}

Recording::Recording(Tape& tape) {
  TARN_CHECK(active_tape == nullptr, "tape: another recording is under way on this thread");
  tape.start();
  active_tape = &tape;
}

Recording::~Recording() { active_tape = nullptr; }

Pause::Pause() : paused_(active_tape) {
  active_tape = nullptr;
  if (paused_ != nullptr) paused_tape = paused_;
}
Pause::~Pause() {
  active_tape = paused_;
  if (paused_ != nullptr) paused_tape = nullptr;
}

Tape::Tape() = default;
Tape::~Tape() = default;

Tape* Tape::active() { return active_tape; }

Tape* Tape::recorder_of(std::initializer_list<const Tensor*> inputs) {
  Tape* const tape = active_tape != nullptr ? active_tape : paused_tape;
  if (tape == nullptr) return nullptr;
  for (const Tensor* input : inputs) {
    if (!input->defined() || input->slot.tape != tape->id_) continue;
    TARN_CHECK(tape == active_tape, "tape: an op reads ", *input,
               ", which stands on the tape whose recording is paused: its gradient would be lost. "
               "What recompute() runs may read its argument and parameters; of another tensor, "
               "detach() gives the values alone");
    return tape;
  }
  return nullptr;
}

void Tape::start() {
  clear();
  id_ = next_tape_id();
  slots_.resize(1);
}

void Tape::clear() {
  slots_.clear();
  entries_.clear();
  first_nonfinite_.reset();
}

GradSlot Tape::leaf(Parameter& parameter) {
  if (parameter.slot_.tape != id_) {
    parameter.slot_ = {id_, static_cast<std::uint32_t>(slots_.size())};
    const Tensor& value = parameter.value_;
    slots_.push_back({value.shape(), value.dtype(), value.device(), {}, false, &parameter});
  }
  return parameter.slot_;
}

void Tape::push(Tensor& out, std::initializer_list<const Tensor*> inputs,
                std::unique_ptr<Node> node) {
  Entry entry{std::move(node), static_cast<std::uint32_t>(slots_.size()), {}, {}};
  for (const Tensor* input : inputs) {
    const bool here = input->defined() && input->slot.tape == id_;
    TARN_CHECK(!here || holds(*input), entry.node->name(), ": input ", entry.inputs.size(), ", ",
               *input,
               ", is a view (slice, select, transpose or expand) or a copy of a recorded tensor, "
               "and its gradient would be lost. ad::slice and ad::transpose are views with a "
               "gradient; where none is wanted, say so with detach()");
    entry.inputs.push_back({here ? input->slot.index : 0, here ? input->shape() : Shape()});
  }
  if (watching_saved_) entry.checksums = checksums(*entry.node);
  slots_.push_back({out.shape(), out.dtype(), out.device(), {}, false, nullptr});
  out.slot = {id_, entry.output};
  entries_.push_back(std::move(entry));
  if (watching_) check_finite(out, entries_.back(), false);
}

void Tape::backward(const Tensor& loss, double grad_out, const GradientHook& complete) {
  TARN_CHECK_SHAPE(loss.elements() == 1, "backward: the loss must be one element, not ",
                   loss.str());
  Tensor seed = Tensor::empty_like(loss);
  kernels::run(&kernels::Table::fill, loss.device(), {.to = seed, .value = grad_out});
  backward(loss, seed, complete);
}

void Tape::backward(const Tensor& out, const Tensor& grad_out, const GradientHook& complete) {
  check_backward(out, grad_out);
  const GradTarget seed = target_of(out.slot.index, out.shape());
  kernels::run(&kernels::Table::copy, out.device(),
               {.from = grad_out, .to = seed.tensor, .beta = seed.beta});
  walk(complete);
}

void Tape::backward_taking(const Tensor& out, const Tensor& grad_out) {
  check_backward(out, grad_out);
  Slot& slot = slots_[out.slot.index];
  if (slot.leaf != nullptr || !grad_out.is_contiguous()) return backward(out, grad_out);
  slot.grad = grad_out.view(slot.shape);
  slot.has_grad = true;
  walk({});
}

void Tape::check_backward(const Tensor& out, const Tensor& grad_out) const {
  TARN_CHECK(active_tape != this, "backward: the recording is still open");
  TARN_CHECK(
      holds(out) && !entries_.empty(),
      "backward: the tensor was not recorded on this tape, or the tape was consumed already");
  TARN_CHECK_SHAPE(out.shape() == grad_out.shape(), "backward: the gradient is ", grad_out,
                   " and the output ", out);
  TARN_CHECK_AS(DTypeError, out.dtype() == grad_out.dtype(), "backward: the gradient is ", grad_out,
                " and the output ", out);
  TARN_CHECK_AS(DeviceError, out.device() == grad_out.device(), "backward: the gradient is on ",
                grad_out.device(), " and the output on ", out.device());
}

// A parameter gets its slot before the first op that reads it is recorded, so that its gradient is
// complete when all ops are done whose outputs have later slots.
void Tape::walk(const GradientHook& complete) {
  std::size_t done = slots_.size();  // the slots from here on
  while (!entries_.empty()) {
    Entry entry = std::move(entries_.back());
    entries_.pop_back();
    run(std::move(entry));
    const std::size_t next = entries_.empty() ? 1 : entries_.back().output;
    while (done > next) {
      const Parameter* leaf = slots_[--done].leaf;
      if (leaf != nullptr && complete) complete(*leaf);
    }
  }
  slots_.clear();
}

void Tape::run(Entry entry) {
  Slot& slot = slots_[entry.output];
  if (!slot.has_grad) return;  // nothing that was asked for depends on it
  const Tensor grad = std::move(slot.grad);
  check_saved(entry);
  InputGrads inputs(*this, entry.inputs);
  entry.node->backward(grad, inputs);
  for (const InputGrads::RepeatedGrad& repeated : inputs.repeated_) {
    const GradTarget target = target_of(repeated.slot, repeated.temporary.shape());
    kernels::run(&kernels::Table::copy, grad.device(),
                 {.from = repeated.temporary, .to = target.tensor, .beta = target.beta});
  }
  if (!watching_) return;
  for (const InputGrads::Input& input : entry.inputs) {
    if (input.slot == 0) continue;
    const Slot& of_input = slots_[input.slot];
    if (!of_input.has_grad) continue;
    check_finite(of_input.leaf != nullptr ? of_input.leaf->grad_ : of_input.grad, entry, true);
  }
}

GradTarget Tape::target_of(std::uint32_t index, const Shape& shape) {
  Slot& slot = slots_[index];
  Tensor& grad = slot.leaf != nullptr ? slot.leaf->grad_ : slot.grad;
  const bool first = slot.leaf != nullptr ? !slot.leaf->has_grad_ : !slot.has_grad;
  if (!grad.defined()) grad = Tensor::empty(slot.shape, slot.dtype, slot.device);
  slot.has_grad = true;
  if (slot.leaf != nullptr) slot.leaf->has_grad_ = true;
  return {grad.view(shape), first ? 0.0 : 1.0};
}

GradTarget InputGrads::target(std::size_t input) {
  const Input& in = inputs_.at(input);
  if (in.slot == 0) return {};
  if (std::find(taken_.begin(), taken_.end(), in.slot) != taken_.end()) {
    const Tape::Slot& slot = tape_.slots_[in.slot];
    repeated_.push_back({Tensor::empty(in.shape, slot.dtype, slot.device), in.slot});
    return {repeated_.back().temporary, 0};
  }
  taken_.push_back(in.slot);
  return tape_.target_of(in.slot, in.shape);
}

void Tape::check_finite(const Tensor& tensor, const Entry& entry, bool in_backward) {
  if (first_nonfinite_ || is_finite(tensor)) return;
  first_nonfinite_ = NonFinite{entry.node->name(), in_backward, parameter_near(entry)};
}

void Tape::check_saved(const Entry& entry) const {
  if (entry.checksums.empty()) return;
  const std::vector<SavedTensor> saved = entry.node->saved();
  for (std::size_t i = 0; i < saved.size(); ++i) {
    if (checksum(saved[i].tensor) == entry.checksums[i]) continue;
    const std::string near = parameter_near(entry);
    fail<Error>(entry.node->name(), near.empty() ? "" : " at or after ", near, ": ", saved[i].name,
                " ", saved[i].tensor,
                " was written to between forward and backward; its gradient would be wrong");
  }
}

// The name of the last parameter that an op reads or, if it reads none, of the first parameter of
// the nearest op before it.
std::string Tape::parameter_near(const Entry& entry) const {
  const auto name_of_leaf = [&](const InputGrads::Input& input) -> const std::string* {
    const Slot& slot = slots_[input.slot];
    return input.slot != 0 && slot.leaf != nullptr ? &slot.leaf->name() : nullptr;
  };
  for (auto input = entry.inputs.rbegin(); input != entry.inputs.rend(); ++input) {
    if (const std::string* name = name_of_leaf(*input)) return *name;
  }
  for (auto before = entries_.rbegin(); before != entries_.rend(); ++before) {
    for (const InputGrads::Input& input : before->inputs) {
      if (const std::string* name = name_of_leaf(input)) return *name;
    }
  }
  return "";
}

}  // namespace tarn::ad
