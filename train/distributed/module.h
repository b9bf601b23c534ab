// Modules beside the program, which it loads where they are wanted: what they need is then needed
// by nobody else.
#pragma once

#include <filesystem>
#include <string>

namespace tarn::train {

// Beside the program where it was built, or where it is installed. There may be no such file.
std::filesystem::path module_path(const std::string& name);

// The function of that name in a module, which stays loaded. Error, with the loader's reason.
void* load_function(const std::filesystem::path& module, const char* function);

}  // namespace tarn::train
