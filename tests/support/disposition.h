// How programs that are started meanwhile find a signal: a test may itself run under nohup, or in
// the background of a script, where some are ignored.
#pragma once

#include <csignal>

namespace tarn::test {

class Disposition {
 public:
  Disposition(int signal, void (*action)(int))
      : signal_(signal), before_(std::signal(signal, action)) {}
  ~Disposition() { std::signal(signal_, before_); }
  Disposition(const Disposition&) = delete;
  Disposition& operator=(const Disposition&) = delete;

 private:
  int signal_;
  void (*before_)(int);
};

}  // namespace tarn::test
