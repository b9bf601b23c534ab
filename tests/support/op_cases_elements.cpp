// The cases of unary, dropout, the views and concat.
#include "autograd/dropout.h"
#include "autograd/unary.h"
#include "autograd/views.h"
#include "tests/reference/ops.h"
#include "tests/support/op_cases.h"

namespace tarn::test {
namespace {

using ad::Unary;

const RngAddress kAddress{7, site_of("op_cases"), 3};

OpCase unary_case(const char* variant, Unary op, const Shape& x, Layout layout, bool large) {
  OpCase c{.variant = message(variant, " x ", x), .inputs = {{"x", x, layout}}, .large = large};
  c.build = [=](const Tensors& in) { return ad::unary(in[0], op); };
  c.reference = [=](const Tensors& in) { return reference::unary(in[0], op); };
  return c;
}

OpCase dropout_case(const Shape& x, double probability, bool large) {
  OpCase c{.variant = message("x ", x, " probability ", probability),
           .inputs = {{"x", x}},
           .large = large};
  c.build = [=](const Tensors& in) { return ad::dropout(in[0], probability, kAddress); };
  c.reference = [=](const Tensors& in) { return reference::dropout(in[0], probability, kAddress); };
  return c;
}

const OpInput kMoved{"x", {2, 3, 4}};

// An op that only moves elements: the reference is the plain view, copied.
OpCase moving_case(const std::string& variant, const OpInput& x,
                   std::function<Tensor(const Tensor&)> build,
                   std::function<Tensor(const Tensor&)> view) {
  OpCase c{.variant = variant, .inputs = {x}, .tolerance = 1e-30};
  c.build = [=](const Tensors& in) { return build(in[0]); };
  c.reference = [=](const Tensors& in) { return reference::copy(view(in[0])); };
  return c;
}

OpCase concat_case(const std::string& variant, const Shape& a, const Shape& b, Layout layout) {
  OpCase c{.variant = message(variant, " a ", a, " b ", b),
           .inputs = {{"a", a, layout}, {"b", b}},
           .tolerance = 1e-30};
  c.build = [](const Tensors& in) { return ad::concat(in[0], in[1]); };
  c.reference = [](const Tensors& in) { return reference::concat(in[0], in[1]); };
  return c;
}

}  // namespace

std::vector<OpCase> unary_cases() {
  std::vector<OpCase> cases;
  using U = Unary;
  for (const auto& [name, op] : {std::pair{"relu", U::relu}, std::pair{"gelu", U::gelu},
                                 std::pair{"elu_plus_one", U::elu_plus_one}}) {
    cases.push_back(unary_case(name, op, {2, 3, 7}, Layout::contiguous, false));
    if (op != U::gelu) {
      cases.push_back(unary_case(name, op, {2, 3, 7}, Layout::strided, false));
      cases.push_back(unary_case(name, op, {2, 3, 7}, Layout::outer_swap, false));
    }
    for (const std::int64_t n : {1, 63, 100, 257}) {
      cases.push_back(unary_case(name, op, {n, 257}, Layout::contiguous, true));
    }
  }
  return cases;
}

std::vector<OpCase> dropout_cases() {
  std::vector<OpCase> cases;
  for (const double probability : {0.1, 0.5, 0.9}) {
    cases.push_back(dropout_case({3, 5, 7}, probability, false));
    for (const std::int64_t n : {1, 63, 100, 257}) {
      cases.push_back(dropout_case({n, 257}, probability, true));
    }
  }
  return cases;
}

std::vector<OpCase> transpose_cases() {
  std::vector<OpCase> cases;
  for (const std::pair<int, int>& dims : {std::pair{0, 1}, std::pair{1, 2}, std::pair{-1, 0}}) {
    const int a = dims.first, b = dims.second;
    cases.push_back(moving_case(
        message(a, " and ", b), kMoved, [=](const Tensor& t) { return ad::transpose(t, a, b); },
        [=](const Tensor& t) { return t.transpose(a, b); }));
  }
  return cases;
}

std::vector<OpCase> slice_cases() {
  std::vector<OpCase> cases;
  for (const int dim : {0, 1, 2, -1}) {
    cases.push_back(moving_case(
        message("of dimension ", dim), kMoved,
        [=](const Tensor& t) { return ad::slice(t, dim, 1, 1); },
        [=](const Tensor& t) { return t.slice(dim, 1, 1); }));
  }
  cases.push_back(moving_case(
      "two of one tensor", kMoved,
      [](const Tensor& t) { return ad::concat(ad::slice(t, 1, 0, 2), ad::slice(t, 1, 1, 2)); },
      [](const Tensor& t) { return reference::concat(t.slice(1, 0, 2), t.slice(1, 1, 2)); }));
  return cases;
}

std::vector<OpCase> view_cases() {
  std::vector<OpCase> cases;
  cases.push_back(moving_case(
      "of a transposed tensor", kMoved,
      [](const Tensor& t) {
        return ad::contiguous(ad::transpose(t, 0, 1)).view({6, 4});
      },
      [](const Tensor& t) {
        return test::copy_of(t.transpose(0, 1)).view({6, 4});
      }));
  return cases;
}

std::vector<OpCase> contiguous_cases() {
  std::vector<OpCase> cases;
  for (const Layout layout : {Layout::strided, Layout::outer_swap, Layout::transposed}) {
    cases.push_back(moving_case(
        message("layout ", static_cast<int>(layout)), {"x", {2, 3, 4}, layout},
        [](const Tensor& t) { return ad::contiguous(t); }, [](const Tensor& t) { return t; }));
  }
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(moving_case(
        message("transposed ", n), {"x", {n, 257, 3}, Layout::transposed},
        [](const Tensor& t) { return ad::contiguous(t); }, [](const Tensor& t) { return t; }));
    cases.back().large = true;
  }
  return cases;
}

std::vector<OpCase> concat_cases() {
  std::vector<OpCase> cases;
  cases.push_back(concat_case("small", {2, 3, 4}, {2, 3, 1}, Layout::contiguous));
  cases.push_back(concat_case("strided", {2, 3, 4}, {2, 3, 2}, Layout::transposed));
  cases.push_back(concat_case("vectors", {3}, {2}, Layout::contiguous));
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(concat_case("large", {n, 63}, {n, 257}, Layout::contiguous));
    cases.back().large = true;
  }
  OpCase itself = concat_case("a is b", {2, 3}, {2, 3}, Layout::contiguous);
  itself.inputs.pop_back();
  itself.build = [](const Tensors& in) { return ad::concat(in[0], in[0]); };
  itself.reference = [](const Tensors& in) { return reference::concat(in[0], in[0]); };
  cases.push_back(itself);
  return cases;
}

}  // namespace tarn::test
