#include "train/distributed/module.h"

#include <dlfcn.h>

#include "core/check.h"

namespace tarn::train {

namespace fs = std::filesystem;

fs::path module_path(const std::string& name) {
  const fs::path folder = fs::read_symlink("/proc/self/exe").parent_path();
  const fs::path beside = folder / name;
  return fs::exists(beside) ? beside : folder / TARN_MODULE_FOLDER / name;
}

void* load_function(const fs::path& module, const char* function) {
  // Global, for what MPI loads itself.
  void* library = dlopen(module.c_str(), RTLD_NOW | RTLD_GLOBAL);
  TARN_CHECK(library != nullptr, "it cannot be loaded: ", dlerror());
  void* found = dlsym(library, function);
  TARN_CHECK(found != nullptr, module.string(), " is of another tarn");
  return found;
}

}  // namespace tarn::train
