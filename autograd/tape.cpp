#include "autograd/tape.h"

#include <algorithm>
#include <atomic>

#include "core/transfer.h"
#include "kernels/copy.h"
#include "kernels/optimizer.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

thread_local Tape* active_tape = nullptr;

// Each recording gets its own number, so that a tensor of an earlier one is not taken for this
// one's.
std::uint32_t next_tape_id() {
  static std::atomic<std::uint32_t> last{0};
  return ++last;
}

}  // namespace

bool is_finite(const Tensor& tensor) {
  const Tensor total = Tensor::empty({1}, DType::f64, tensor.device());
  kernels::run(&kernels::Table::count_nonfinite, tensor.device(), {.x = tensor, .total = total});
  return item(total) == 0;
}

Tensor Parameter::tensor() {
  Tensor out = value_;
  if (Tape* tape = Tape::active(); tape != nullptr) out.slot = tape->leaf(*this);
  return out;
}

Recording::Recording(Tape& tape) {
  TARN_CHECK(active_tape == nullptr, "tape: another recording is under way on this thread");
  tape.start();
  active_tape = &tape;
}

Recording::~Recording() { active_tape = nullptr; }

Pause::Pause() : paused_(active_tape) { active_tape = nullptr; }
Pause::~Pause() { active_tape = paused_; }

Tape::Tape() = default;
Tape::~Tape() = default;

Tape* Tape::active() { return active_tape; }

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
  Entry entry{std::move(node), static_cast<std::uint32_t>(slots_.size()), {}};
  for (const Tensor* input : inputs) {
    const bool here = input->defined() && holds(*input);
    entry.inputs.push_back({here ? input->slot.index : 0, here ? input->shape() : Shape()});
  }
  slots_.push_back({out.shape(), out.dtype(), out.device(), {}, false, nullptr});
  out.slot = {id_, entry.output};
  entries_.push_back(std::move(entry));
  if (watching_) check_finite(out, entries_.back(), false);
}

void Tape::backward(const Tensor& loss, double grad_out) {
  TARN_CHECK_SHAPE(loss.elements() == 1, "backward: the loss must be one element, not ",
                   loss.str());
  Tensor seed = Tensor::empty_like(loss);
  kernels::run(&kernels::Table::fill, loss.device(), {.to = seed, .value = grad_out});
  backward(loss, seed);
}

void Tape::backward(const Tensor& out, const Tensor& grad_out) {
  check_backward(out, grad_out);
  const GradTarget seed = arrive(out.slot.index, out.shape());
  kernels::run(&kernels::Table::copy, out.device(),
               {.from = grad_out, .to = seed.tensor, .beta = seed.beta});
  walk();
}

void Tape::backward_taking(const Tensor& out, const Tensor& grad_out) {
  check_backward(out, grad_out);
  Slot& slot = slots_[out.slot.index];
  if (slot.leaf != nullptr || !grad_out.is_contiguous()) return backward(out, grad_out);
  slot.grad = grad_out.view(slot.shape);
  slot.arrived = true;
  walk();
}

void Tape::check_backward(const Tensor& out, const Tensor& grad_out) const {
  TARN_CHECK(active_tape != this, "backward: the recording is still open");
  TARN_CHECK(
      holds(out) && !entries_.empty(),
      "backward: the tensor was not recorded on this tape, or the tape was consumed already");
  TARN_CHECK_SHAPE(out.shape() == grad_out.shape(), "backward: the gradient is ", grad_out.shape(),
                   " and the output ", out.shape());
}

void Tape::walk() {
  while (!entries_.empty()) {
    Entry entry = std::move(entries_.back());
    entries_.pop_back();
    run(std::move(entry));
  }
  slots_.clear();
}

void Tape::run(Entry entry) {
  Slot& slot = slots_[entry.output];
  if (!slot.arrived) return;  // nothing that was asked for depends on it
  const Tensor grad = std::move(slot.grad);
  InputGrads inputs(*this, entry.inputs);
  entry.node->backward(grad, inputs);
  for (const InputGrads::Detour& detour : inputs.detours_) {
    const GradTarget target = arrive(detour.slot, detour.temporary.shape());
    kernels::run(&kernels::Table::copy, grad.device(),
                 {.from = detour.temporary, .to = target.tensor, .beta = target.beta});
  }
  if (!watching_) return;
  for (const InputGrads::Input& input : entry.inputs) {
    if (input.slot == 0) continue;
    const Slot& arrived = slots_[input.slot];
    if (!arrived.arrived) continue;
    check_finite(arrived.leaf != nullptr ? arrived.leaf->grad_ : arrived.grad, entry, true);
  }
}

GradTarget Tape::arrive(std::uint32_t index, const Shape& shape) {
  Slot& slot = slots_[index];
  Tensor& grad = slot.leaf != nullptr ? slot.leaf->grad_ : slot.grad;
  const bool first = slot.leaf != nullptr ? !slot.leaf->has_grad_ : !slot.arrived;
  if (!grad.defined()) grad = Tensor::empty(slot.shape, slot.dtype, slot.device);
  slot.arrived = true;
  if (slot.leaf != nullptr) slot.leaf->has_grad_ = true;
  return {grad.view(shape), first ? 0.0 : 1.0};
}

GradTarget InputGrads::target(std::size_t input) {
  const Input& in = inputs_.at(input);
  if (in.slot == 0) return {};
  if (std::find(taken_.begin(), taken_.end(), in.slot) != taken_.end()) {
    const Tape::Slot& slot = tape_.slots_[in.slot];
    detours_.push_back({Tensor::empty(in.shape, slot.dtype, slot.device), in.slot});
    return {detours_.back().temporary, 0};
  }
  taken_.push_back(in.slot);
  return tape_.arrive(in.slot, in.shape);
}

void Tape::check_finite(const Tensor& tensor, const Entry& entry, bool in_backward) {
  if (first_nonfinite_ || is_finite(tensor)) return;
  std::string near = nearest_parameter(entries_.size());
  for (const InputGrads::Input& input : entry.inputs) {
    if (input.slot != 0 && slots_[input.slot].leaf != nullptr) {
      near = slots_[input.slot].leaf->name();
    }
  }
  first_nonfinite_ = NonFinite{entry.node->name(), in_backward, near};
}

std::string Tape::nearest_parameter(std::size_t entries) const {
  for (std::size_t e = entries; e-- > 0;) {
    for (const InputGrads::Input& input : entries_[e].inputs) {
      if (input.slot != 0 && slots_[input.slot].leaf != nullptr) {
        return slots_[input.slot].leaf->name();
      }
    }
  }
  return "";
}

}  // namespace tarn::ad
