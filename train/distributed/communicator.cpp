#include "train/distributed/communicator.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <sstream>

#include "core/transfer.h"

namespace tarn::train {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

template <class T>
std::span<std::byte> writable_bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

// What a process says of its work: nothing, or the error's exit code and its message.
std::string error_of(const std::function<void()>& work) {
  try {
    work();
    return "";
  } catch (const UserError& error) {
    return message("2", error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return message("2", error.path1().string(), ": ", error.code().message());
  } catch (const std::exception& error) {
    return message("1", error.what());
  }
}

}  // namespace

Communicator::Communicator(std::unique_ptr<Transport> transport)
    : transport_(std::move(transport)) {
  std::string hosts;
  for (const std::string& host : gather(transport_->host())) hosts += host + "\n";
  std::istringstream lines(broadcast(hosts));
  for (std::string line; std::getline(lines, line);) hosts_.push_back(line);
}

std::string Communicator::describe(int rank) const {
  const auto at = static_cast<std::size_t>(rank);
  return at < hosts_.size() ? message("rank ", rank, " on ", hosts_[at]) : message("rank ", rank);
}

int Communicator::place_on_host() const {
  if (alone()) return 0;
  const auto me = hosts_.begin() + rank();
  return static_cast<int>(std::count(hosts_.begin(), me, *me));
}

void Communicator::exchange(const std::vector<Outgoing>& sends,
                            const std::vector<Incoming>& receives, double share) {
  count(sends);
  check(transport_->exchange(sends, receives, timeout_ * share));
}

void Communicator::ask_devices(const std::vector<Outgoing>& sends,
                               const std::vector<Incoming>& receives, double share) {
  count(sends);
  check(devices_->ask(sends, receives, timeout_ * share));
}

void Communicator::count(const std::vector<Outgoing>& sends) {
  for (const Outgoing& send : sends) {
    bytes_sent_ += static_cast<std::int64_t>(send.bytes.size());
  }
}

void Communicator::check(const std::optional<Fault>& fault) const {
  if (!fault) return;
  fail<RankLost>(
      describe(fault->rank), " ", fault->reason,
      ". It was killed, hangs or cannot be reached, or is slower than run.timeout allows");
}

// Along a binomial tree: a rank hears from the one that lacks its lowest bit.
void Communicator::broadcast(std::span<std::byte> bytes) {
  if (alone()) return;
  const auto mine = static_cast<unsigned>(rank());
  if (mine > 0) exchange({}, {{static_cast<int>(mine & (mine - 1)), bytes}});
  const auto all = std::bit_ceil(static_cast<unsigned>(size()));
  std::vector<Outgoing> sends;
  for (unsigned bit = (mine == 0 ? all : mine & -mine) / 2; bit > 0; bit /= 2) {
    const int to = static_cast<int>(mine | bit);
    if (to < size()) sends.push_back({to, bytes});
  }
  if (!sends.empty()) exchange(sends, {});
}

std::string Communicator::broadcast(const std::string& text) {
  std::uint64_t length = text.size();
  broadcast(writable_bytes_of(length));
  std::string out = text;
  out.resize(length);
  if (length > 0) broadcast(std::as_writable_bytes(std::span(out)));
  return out;
}

void Communicator::broadcast(const Tensor& tensor) {
  if (alone()) return;
  const Tensor host = copy_to(tensor, Device::cpu());
  broadcast(std::span(host.raw(), static_cast<std::size_t>(host.bytes())));
  if (!first()) copy_into(host, tensor);
}

std::vector<std::string> Communicator::gather(const std::string& text) {
  if (!first()) {
    send(0, text);
    return {};
  }
  std::vector<std::string> texts{text};
  for (int from = 1; from < size(); ++from) texts.push_back(receive(from));
  return texts;
}

std::int64_t Communicator::largest(std::int64_t number) {
  for (const std::string& text : gather(std::to_string(number))) {
    number = std::max<std::int64_t>(number, std::stoll(text));
  }
  broadcast(writable_bytes_of(number));
  return number;
}

void Communicator::together(const std::function<void()>& work) {
  if (alone()) return work();
  const std::vector<std::string> errors = gather(error_of(work));
  const auto failed = std::find_if(errors.begin(), errors.end(),
                                   [](const std::string& error) { return !error.empty(); });
  std::string verdict;
  if (failed != errors.end()) {
    const bool alike = std::all_of(errors.begin(), errors.end(),
                                   [&](const std::string& error) { return error == *failed; });
    const int who = static_cast<int>(failed - errors.begin());
    verdict =
        alike ? *failed
              : message((*failed)[0] == '2' ? "2" : "1", describe(who), ": ", failed->substr(1));
  }
  verdict = broadcast(verdict);
  if (verdict.empty()) return;
  failed_together_ = true;
  if (verdict[0] == '2') fail<UserError>(verdict.substr(1));
  fail<Error>(verdict.substr(1));
}

void Communicator::finish() {
  if (alone()) return;
  largest(0);  // nobody goes while another waits for it
  disconnect_devices();
  transport_->finish();
}

void Communicator::send(int to, const std::string& text) {
  const std::uint64_t length = text.size();
  exchange({{to, bytes_of(length)}, {to, std::as_bytes(std::span(text))}}, {});
}

std::string Communicator::receive(int from) {
  std::uint64_t length = 0;
  exchange({}, {{from, writable_bytes_of(length)}});
  std::string text(length, '\0');
  exchange({}, {{from, std::as_writable_bytes(std::span(text))}});
  return text;
}

}  // namespace tarn::train
