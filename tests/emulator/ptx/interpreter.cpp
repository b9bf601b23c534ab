#include "tests/emulator/ptx/interpreter.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>

#include "tests/emulator/emulator.h"
#include "tests/emulator/faults.h"
#include "tests/emulator/ptx/assemble.h"
#include "tests/emulator/ptx/thread_block.h"
#include "tests/emulator/random.h"

namespace emulator::ptx {
namespace {

// The kernels of a folder's files. What is never launched is not assembled.
class Library {
 public:
  explicit Library(const std::filesystem::path& folder) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".ptx") add(entry.path());
    }
    if (entries_.empty()) {
      throw Error("TARN_PTX: there is no kernel in " + folder.string() +
                  "; the target kernels_ptx makes them");
    }
  }

  const Kernel& kernel(const std::string& name) {
    const auto assembled = kernels_.find(name);
    if (assembled != kernels_.end()) return assembled->second;
    const auto found = entries_.find(name);
    if (found == entries_.end()) throw Error("TARN_PTX: no file has an entry " + name);
    const auto [text, entry] = found->second;
    return kernels_.emplace(name, assemble(text->file, *entry, text->name)).first->second;
  }

 private:
  struct Text {
    std::string name, text;
    File file;
  };

  void add(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream read;
    read << in.rdbuf();
    Text& text = *texts_.emplace_back(
        std::make_unique<Text>(Text{path.filename().string(), read.str(), {}}));
    text.file = parse_file(text.text, text.name);
    for (const Entry& entry : text.file.entries) entries_[entry.name] = {&text, &entry};
  }

  std::vector<std::unique_ptr<Text>> texts_;
  std::map<std::string_view, std::pair<const Text*, const Entry*>> entries_;
  std::map<std::string, Kernel> kernels_;
};

const char* folder() {
  static const char* const name = std::getenv("TARN_PTX");
  return name;
}

const std::string& name_of(const void* kernel) {
  static std::map<const void*, std::string> names;
  const auto [name, is_new] = names.try_emplace(kernel);
  if (is_new) {
    Dl_info info{};
    if (dladdr(kernel, &info) != 0 && info.dli_sname != nullptr) name->second = info.dli_sname;
  }
  return name->second;
}

}  // namespace

bool enabled() { return folder() != nullptr; }

void run_kernel(const Kernel& kernel, const Launch& launch,
                const std::vector<std::span<const unsigned char>>& parameters) {
  static std::uint32_t launches = 0;
  Grid grid{.kernel = kernel,
            .grid = launch.grid,
            .block = launch.block,
            .parameters = std::vector<std::byte>(kernel.parameter_bytes),
            .device = launch.device,
            .number = ++launches};
  if (parameters.size() != kernel.parameters.size()) throw Error("another number of parameters");
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Place& place = kernel.parameters[i];
    if (parameters[i].size() != place.bytes) {
      throw Error("another size of the parameter " + std::string(place.name));
    }
    std::memcpy(&grid.parameters[place.offset], parameters[i].data(), place.bytes);
  }
  if (launch.dynamic_shared > 0) throw Error("dynamic shared memory, which is not known");

  std::vector<unsigned> order(std::size_t{launch.grid.x} * launch.grid.y * launch.grid.z);
  std::iota(order.begin(), order.end(), 0U);
  std::uint64_t random = settings().seed * 0x9E3779B97F4A7C15ULL + 1;
  arrange(order, random);
  Counts& counts = counts_of(kernel.name);
  ++counts.launches;
  ThreadBlock block(grid, counts);
  try {
    for (const unsigned index : order) block.run(index, random);
  } catch (const Stopped&) {  // the fault is in the log
  }
}

void run_grid(const Launch& launch) {
  try {
    static Library library(folder());
    const std::string& name = name_of(launch.kernel);
    if (name.empty()) throw Error("the program does not export the kernel");
    run_kernel(library.kernel(name), launch, launch.parameters(launch.arguments.data()));
  } catch (const Error& error) {
    report_in(launch.name, FaultKind::usage, std::string(launch.name) + ": " + error.what(),
              launch.kernel);
  }
}

}  // namespace emulator::ptx
