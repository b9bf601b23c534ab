// Images that need no download: simple figures drawn by address, to try a pipeline with.
#pragma once

#include <filesystem>
#include <string_view>

#include "data/images.h"

namespace tarn::data {

// Ten figures (bars, crosses, discs, rings, ...), image n having figure n % 10 as its label. Place,
// size and brightness (with several channels, colour) are drawn from the seed, the stream ("train",
// "test") and n, so that image n is the same however many there are. The background is 0. Throws
// ConfigError for sides that are not 4 to 1024, channels that are not 1 or 3, a count below 1 or
// above a gigabyte's worth.
ImageSet draw_images(const ImageShape& shape, std::int64_t count, std::string_view stream,
                     std::uint64_t seed);

// Makes the folder, with the four gzipped files that MNIST's has. It is there whole or not at all;
// throws IoError if anything of its name exists.
void write_image_folder(const std::filesystem::path& folder, const ImageSet& train,
                        const ImageSet& test);

}  // namespace tarn::data
