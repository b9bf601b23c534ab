#include "train/distributed/connect_devices.h"

#include <map>

#include "core/device_runtime.h"
#include "train/distributed/module.h"

namespace tarn::train {
namespace {

// Throws Error where there is none.
std::unique_ptr<DeviceTransport> load_nccl() {
  const std::filesystem::path module = module_path("tarn_nccl.so");
  TARN_CHECK(std::filesystem::exists(module), "this build has no NCCL (TARN_NCCL=OFF)");
  void* make = load_function(module, "tarn_nccl_transport");
  return std::unique_ptr<DeviceTransport>(reinterpret_cast<DeviceTransport* (*)()>(make)());
}

// Why the devices cannot be connected, of what each process said of itself: "+" and its device's
// address on the machine, or "-" and a reason. Empty: they can.
std::string obstacle(const Communicator& ranks, const std::vector<std::string>& said) {
  std::map<std::string, int> owners;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    const std::string& text = said[static_cast<std::size_t>(rank)];
    if (text[0] == '-') return message("NCCL of ", ranks.describe(rank), ": ", text.substr(1));
    const auto [other, is_new] = owners.try_emplace(ranks.host(rank) + text, rank);
    if (!is_new) {
      return message(ranks.describe(other->second), " and ", ranks.describe(rank),
                     " share a device");
    }
  }
  return "";
}

}  // namespace

std::string connect_devices(Communicator& ranks, Device device) {
  std::unique_ptr<DeviceTransport> nccl;
  std::string mine, reason, id;
  try {
    TARN_CHECK(device.kind == DeviceKind::cuda, "a processor has no NCCL");
    nccl = load_nccl();
    mine = "+" + runtime_of(device).address(device.index);
  } catch (const Error& error) {
    mine = message("-", error.what());
  }
  const std::vector<std::string> said = ranks.gather(mine);
  if (ranks.first()) reason = obstacle(ranks, said);
  reason = ranks.broadcast(reason);
  if (!reason.empty()) return message("by way of the hosts' memory, since ", reason);
  ranks.together([&] {
    if (ranks.first()) id = nccl->make_id();
  });
  id = ranks.broadcast(id);
  ranks.together([&] {
    // Within less than the others wait for this one's answer.
    void* queue = runtime_of(device).side_queue(device.index).handle();
    nccl->connect(id, {ranks.rank(), ranks.size(), device.index, queue}, 0.8 * ranks.timeout());
  });
  std::string how = message("from device to device, by ", nccl->name());
  ranks.use(std::move(nccl));
  return how;
}

std::string describe_device_messages() {
  try {
    return message("by ", load_nccl()->name());
  } catch (const std::exception& error) {  // of the module too, which knows no Error
    return message("by way of the hosts' memory, since NCCL: ", error.what());
  }
}

}  // namespace tarn::train
