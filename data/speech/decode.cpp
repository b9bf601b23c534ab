#include "data/speech/decode.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "core/check.h"

namespace tarn::data {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();  // log 0

double log_add(double a, double b) {
  const double top = std::max(a, b);
  return top == kNever ? top : top + std::log1p(std::exp(std::min(a, b) - top));
}

// Log-probabilities, row-major as the logits.
class LogSoftmax {
 public:
  explicit LogSoftmax(const FrameLogits& logits)
      : classes_(static_cast<std::size_t>(logits.classes)),
        values_(logits.values.begin(), logits.values.end()) {
    TARN_CHECK(classes_ > 0, "decode: logits of no classes");
    const std::size_t count = frames();
    for (std::size_t t = 0; t < count; ++t) {
      double* row = values_.data() + t * classes_;
      const double top = *std::max_element(row, row + classes_);
      double total = 0;
      for (std::size_t c = 0; c < classes_; ++c) total += std::exp(row[c] - top);
      const double normaliser = top + std::log(total);
      TARN_CHECK(std::isfinite(normaliser), "decode: the logits of frame ", t, " of ", count,
                 " hold a NaN or an infinity");
      for (std::size_t c = 0; c < classes_; ++c) row[c] -= normaliser;
    }
  }
  std::size_t frames() const { return values_.size() / classes_; }
  std::size_t classes() const { return classes_; }
  const double* row(std::size_t t) const { return values_.data() + t * classes_; }
  double at(std::size_t t, std::int32_t c) const { return row(t)[c]; }

 private:
  std::size_t classes_;
  std::vector<double> values_;
};

using Path = std::vector<std::int32_t>;  // one class for each frame

std::vector<AlignedPhone> align_phones(const Path& path, const LogSoftmax& log_p) {
  std::vector<AlignedPhone> phones;
  for (std::size_t t = 0; t < path.size();) {
    const std::size_t first = t;
    double sum = 0;
    while (t < path.size() && path[t] == path[first]) {
      sum += log_p.at(t, path[t]);
      ++t;
    }
    if (path[first] == 0) continue;
    phones.push_back({path[first], static_cast<std::int64_t>(first), static_cast<std::int64_t>(t),
                      std::exp(sum / static_cast<double>(t - first))});
  }
  return phones;
}

// The most likely path that spells the labels (Viterbi). The frames must be enough for them. States
// are the labels with blanks around them: state 2i + 1 is label i.
Path align(const Path& labels, const LogSoftmax& log_p) {
  const std::size_t states = 2 * labels.size() + 1, frames = log_p.frames();
  const auto class_of = [&](std::size_t s) { return s % 2 == 0 ? 0 : labels[s / 2]; };
  const auto skips_to = [&](std::size_t s) {
    return s % 2 == 1 && s >= 3 && labels[s / 2] != labels[s / 2 - 1];
  };
  std::vector<double> score(states, kNever);  // of the best path to each state so far
  std::fill_n(score.begin(), std::min<std::size_t>(2, states), 0.0);
  std::vector<std::uint8_t> steps(frames * states, 0);  // of the best path at each frame
  for (std::size_t t = 0; t < frames; ++t) {
    for (std::size_t s = states; s-- > 0;) {
      double best = score[s];
      std::uint8_t step = 0;
      const auto consider = [&](std::uint8_t states_back) {
        if (score[s - states_back] <= best) return;
        best = score[s - states_back];
        step = states_back;
      };
      if (t > 0 && s >= 1) consider(1);
      if (t > 0 && skips_to(s)) consider(2);
      score[s] = best + log_p.at(t, class_of(s));
      steps[t * states + s] = step;
    }
  }
  std::size_t s = states - 1;
  if (states > 1 && score[s - 1] > score[s]) --s;
  Path path(frames);
  for (std::size_t t = frames; t-- > 0;) {
    path[t] = class_of(s);
    s -= steps[t * states + s];
  }
  return path;
}

// Prefix beam search. Prefixes are nodes of a tree; only those that survive a frame become nodes.
class PrefixSearch {
 public:
  PrefixSearch(const LogSoftmax& log_p, std::int64_t beam)
      : log_p_(log_p), beam_(static_cast<std::size_t>(beam)) {}

  // The labels and their log-probability.
  std::pair<Path, double> run() {
    for (std::size_t t = 0; t < log_p_.frames(); ++t) keep_best(extend(log_p_.row(t)));
    const auto best = std::max_element(
        live_.begin(), live_.end(), [](const Live& a, const Live& b) { return a.all() < b.all(); });
    Path labels;
    for (int node = best->node; node != 0; node = nodes_[index(node)].parent) {
      labels.push_back(nodes_[index(node)].label);
    }
    std::reverse(labels.begin(), labels.end());
    return {labels, best->all()};
  }

 private:
  struct Node {
    int parent = -1;
    std::int32_t label = 0;
  };
  // A prefix of the beam, and how likely it is with a blank at the end and without.
  struct Live {
    int node = 0;
    double blank = 0, label = kNever;
    double all() const { return log_add(blank, label); }
  };
  // A live prefix (label 0), or one longer by a label.
  struct Candidate {
    int node = 0;
    std::int32_t label = 0;
    Live after;
    double all = kNever;
  };
  using Key = std::pair<int, std::int32_t>;  // parent and label of a node

  static std::size_t index(int node) { return static_cast<std::size_t>(node); }

  std::vector<Candidate> extend(const double* row) const {
    std::vector<Candidate> out;
    std::map<Key, std::size_t> position;
    for (const Live& live : live_) {
      const Node& node = nodes_[index(live.node)];
      position[{node.parent, node.label}] = out.size();
      const double again = node.label == 0 ? kNever : live.label + row[node.label];
      out.push_back({live.node, 0, {live.node, live.all() + row[0], again}});
    }
    for (const Live& live : live_) {
      const std::int32_t last = nodes_[index(live.node)].label;
      for (std::size_t c = 1; c < log_p_.classes(); ++c) {
        const auto label = static_cast<std::int32_t>(c);
        const double p = (label == last ? live.blank : live.all()) + row[c];
        const auto known = position.find({live.node, label});
        if (known == position.end()) {
          out.push_back({live.node, label, {0, kNever, p}});
        } else {
          Live& after = out[known->second].after;
          after.label = log_add(after.label, p);
        }
      }
    }
    for (Candidate& candidate : out) candidate.all = candidate.after.all();
    return out;
  }

  void keep_best(std::vector<Candidate> candidates) {
    const std::size_t kept = std::min(beam_, candidates.size());
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.all > b.all; });
    live_.clear();
    for (std::size_t i = 0; i < kept && candidates[i].all > kNever; ++i) {
      const Candidate& candidate = candidates[i];
      live_.push_back(candidate.after);
      live_.back().node =
          candidate.label == 0 ? candidate.node : child(candidate.node, candidate.label);
    }
  }

  int child(int parent, std::int32_t label) {
    const auto [at, added] =
        children_.try_emplace({parent, label}, static_cast<int>(nodes_.size()));
    if (added) nodes_.push_back({parent, label});
    return at->second;
  }

  const LogSoftmax& log_p_;
  std::size_t beam_;
  std::vector<Node> nodes_{{}};  // node 0 is the empty prefix
  std::map<Key, int> children_;
  std::vector<Live> live_{{}};
};

}  // namespace

std::vector<std::int32_t> Hypothesis::labels() const {
  std::vector<std::int32_t> labels;
  for (const AlignedPhone& phone : phones) labels.push_back(phone.phone);
  return labels;
}

Hypothesis decode_greedy(const FrameLogits& logits) {
  const LogSoftmax log_p(logits);
  Path path;
  double total = 0;
  for (std::size_t t = 0; t < log_p.frames(); ++t) {
    const double* row = log_p.row(t);
    path.push_back(static_cast<std::int32_t>(std::max_element(row, row + log_p.classes()) - row));
    total += log_p.at(t, path.back());
  }
  return {align_phones(path, log_p), total};
}

Hypothesis decode_beam(const FrameLogits& logits, std::int64_t beam) {
  TARN_CHECK(beam >= 1, "decode_beam: a beam of ", beam, " keeps nothing; it must be at least 1");
  const LogSoftmax log_p(logits);
  const auto [labels, log_probability] = PrefixSearch(log_p, beam).run();
  return {align_phones(align(labels, log_p), log_p), log_probability};
}

}  // namespace tarn::data
