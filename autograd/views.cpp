#include "autograd/views.h"

#include "autograd/check.h"
#include "kernels/copy.h"
#include "kernels/table.h"

namespace tarn::ad {
namespace {

using kernels::Table;

class Transpose final : public Node {
 public:
  Transpose(int a, int b) : a_(a), b_(b) {}
  const char* name() const override { return "transpose"; }
  std::vector<SavedTensor> saved() const override { return {}; }
  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_x, beta] = inputs.target(0);
    copy_into(grad_out, grad_x.transpose(a_, b_), beta);
  }

 private:
  int a_, b_;
};

class Slice final : public Node {
 public:
  Slice(int dim, std::int64_t first) : dim_(dim), first_(first) {}
  const char* name() const override { return "slice"; }
  std::vector<SavedTensor> saved() const override { return {}; }
  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_x, beta] = inputs.target(0);
    if (beta == 0) kernels::run(&Table::fill, grad_x.device(), {.to = grad_x, .value = 0});
    copy_into(grad_out, grad_x.slice(dim_, first_, grad_out.size(dim_)), beta);
  }

 private:
  int dim_;
  std::int64_t first_;
};

class Contiguous final : public Node {
 public:
  const char* name() const override { return "contiguous"; }
  std::vector<SavedTensor> saved() const override { return {}; }
  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    const auto [grad_x, beta] = inputs.target(0);
    copy_into(grad_out, grad_x, beta);
  }
};

class Concat final : public Node {
 public:
  explicit Concat(std::int64_t split) : split_(split) {}
  const char* name() const override { return "concat"; }
  std::vector<SavedTensor> saved() const override { return {}; }
  void backward(const Tensor& grad_out, InputGrads& inputs) override {
    if (const auto [grad_a, beta] = inputs.target(0); grad_a.defined()) {
      copy_into(grad_out.slice(-1, 0, split_), grad_a, beta);
    }
    if (const auto [grad_b, beta] = inputs.target(1); grad_b.defined()) {
      copy_into(grad_out.slice(-1, split_, grad_out.size(-1) - split_), grad_b, beta);
    }
  }

 private:
  std::int64_t split_;
};

}  // namespace

void copy_into(const Tensor& from, const Tensor& to, double beta) {
  kernels::run(&Table::copy, to.device(), {.from = from, .to = to, .beta = beta});
}

Tensor transpose(const Tensor& x, int a, int b) {
  return recorded<Transpose>(x.transpose(a, b), {&x}, a, b);
}

Tensor slice(const Tensor& x, int dim, std::int64_t first, std::int64_t count) {
  return recorded<Slice>(x.slice(dim, first, count), {&x}, dim, first);
}

Tensor contiguous(const Tensor& x) {
  if (x.is_contiguous()) return x;
  Tensor out = Tensor::empty_like(x);
  copy_into(x, out, 0);
  return recorded<Contiguous>(out, {&x});
}

Tensor concat(const Tensor& a, const Tensor& b) {
  const Check check("concat");
  check.required({{"a", a}, {"b", b}});
  check.alike({{"a", a}, {"b", b}});
  TARN_CHECK_SHAPE(
      a.rank() >= 1 && b.rank() >= 1 && a.shape().without_last() == b.shape().without_last(),
      "concat: a ", a.shape(), " and b ", b.shape(), " must be alike up to the last dimension");
  Tensor out =
      Tensor::empty(a.shape().without_last().with(a.size(-1) + b.size(-1)), a.dtype(), a.device());
  copy_into(a, out.slice(-1, 0, a.size(-1)), 0);
  copy_into(b, out.slice(-1, a.size(-1), b.size(-1)), 0);
  return recorded<Concat>(out, {&a, &b}, a.size(-1));
}

}  // namespace tarn::ad
