// libFuzzer's entry, for the target PANNIER_FUZZ_TARGET; and with --seeds FOLDER: its first inputs as files.

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const pannier::fuzz::Target* const target = pannier::fuzz::find(PANNIER_FUZZ_TARGET);
  target->run({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::string{(*argv)[1]} != "--seeds") return 0;
  int number = 0;
  for (const auto& seed : pannier::fuzz::find(PANNIER_FUZZ_TARGET)->seeds()) {
    std::ofstream file{std::string{(*argv)[2]} + "/seed-" + std::to_string(number++), std::ios::binary};
    file.write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
  }
  std::exit(0);
}
