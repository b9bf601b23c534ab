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
  OpCase c{.op = "unary",
           .variant = message(variant, " x ", x),
           .kernels = {"unary_forward", "unary_backward"},
           .inputs = {{"x", x, layout}},
           .large = large};
  c.build = [=](const Tensors& in) { return ad::unary(in[0], op); };
  c.reference = [=](const Tensors& in) { return reference::unary(in[0], op); };
  return c;
}

void add_unary(std::vector<OpCase>& cases) {
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
}

OpCase dropout_case(const Shape& x, double probability, bool large) {
  OpCase c{.op = "dropout",
           .variant = message("x ", x, " probability ", probability),
           .kernels = {"dropout"},
           .inputs = {{"x", x}},
           .large = large};
  c.build = [=](const Tensors& in) { return ad::dropout(in[0], probability, kAddress); };
  c.reference = [=](const Tensors& in) { return reference::dropout(in[0], probability, kAddress); };
  return c;
}

// An op that only moves elements: the reference is the plain view, copied.
OpCase moving_case(const char* op, const std::string& variant, const OpInput& x,
                   std::function<Tensor(const Tensor&)> build,
                   std::function<Tensor(const Tensor&)> view) {
  OpCase c{.op = op, .variant = variant, .kernels = {"copy"}, .inputs = {x}, .tolerance = 1e-30};
  c.build = [=](const Tensors& in) { return build(in[0]); };
  c.reference = [=](const Tensors& in) { return reference::copy(view(in[0])); };
  return c;
}

void add_views(std::vector<OpCase>& cases) {
  const OpInput x{"x", {2, 3, 4}};
  for (const std::pair<int, int>& dims : {std::pair{0, 1}, std::pair{1, 2}, std::pair{-1, 0}}) {
    const int a = dims.first, b = dims.second;
    cases.push_back(moving_case(
        "transpose", message(a, " and ", b), x,
        [=](const Tensor& t) { return ad::transpose(t, a, b); },
        [=](const Tensor& t) { return t.transpose(a, b); }));
  }
  for (const int dim : {0, 1, 2, -1}) {
    cases.push_back(moving_case(
        "slice", message("of dimension ", dim), x,
        [=](const Tensor& t) { return ad::slice(t, dim, 1, 1); },
        [=](const Tensor& t) { return t.slice(dim, 1, 1); }));
    cases.back().kernels.push_back("fill");
  }
  cases.push_back(moving_case(
      "slice", "two of one tensor", x,
      [](const Tensor& t) { return ad::concat(ad::slice(t, 1, 0, 2), ad::slice(t, 1, 1, 2)); },
      [](const Tensor& t) { return reference::concat(t.slice(1, 0, 2), t.slice(1, 1, 2)); }));
  cases.push_back(moving_case(
      "view", "of a transposed tensor", x,
      [](const Tensor& t) {
        return ad::contiguous(ad::transpose(t, 0, 1)).view({6, 4});
      },
      [](const Tensor& t) {
        return test::copy_of(t.transpose(0, 1)).view({6, 4});
      }));
  for (const Layout layout : {Layout::strided, Layout::outer_swap, Layout::transposed}) {
    cases.push_back(moving_case(
        "contiguous", message("layout ", static_cast<int>(layout)), {"x", {2, 3, 4}, layout},
        [](const Tensor& t) { return ad::contiguous(t); }, [](const Tensor& t) { return t; }));
  }
  for (const std::int64_t n : {1, 63, 100, 257}) {
    cases.push_back(moving_case(
        "contiguous", message("transposed ", n), {"x", {n, 257, 3}, Layout::transposed},
        [](const Tensor& t) { return ad::contiguous(t); }, [](const Tensor& t) { return t; }));
    cases.back().large = true;
  }
}

OpCase concat_case(const std::string& variant, const Shape& a, const Shape& b, Layout layout) {
  OpCase c{.op = "concat",
           .variant = message(variant, " a ", a, " b ", b),
           .kernels = {"copy"},
           .inputs = {{"a", a, layout}, {"b", b}},
           .tolerance = 1e-30};
  c.build = [](const Tensors& in) { return ad::concat(in[0], in[1]); };
  c.reference = [](const Tensors& in) { return reference::concat(in[0], in[1]); };
  return c;
}

void add_concat(std::vector<OpCase>& cases) {
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
}

}  // namespace

std::vector<OpCase> element_cases() {
  std::vector<OpCase> cases;
  add_unary(cases);
  for (const double probability : {0.1, 0.5, 0.9}) {
    cases.push_back(dropout_case({3, 5, 7}, probability, false));
    for (const std::int64_t n : {1, 63, 100, 257}) {
      cases.push_back(dropout_case({n, 257}, probability, true));
    }
  }
  add_views(cases);
  add_concat(cases);
  return cases;
}

}  // namespace tarn::test
