// pannier_rpcgen: classes for the services of a schema. Run by pannier_add_service, on the machine that builds.

#include <cstdio>
#include <optional>
#include <string>

#include "services/rpc/generator/write.h"

namespace {

std::optional<std::string> read_all(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return std::nullopt;
  std::string content;
  char block[16384];
  while (const std::size_t got = std::fread(block, 1, sizeof block, file)) content.append(block, got);
  const bool good = std::ferror(file) == 0;
  std::fclose(file);
  return good ? std::optional{content} : std::nullopt;
}

int fail(const std::string& text) {
  std::fprintf(stderr, "pannier_rpcgen: %s\n", text.c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return fail("usage: pannier_rpcgen FILE.fbs FILE.bfbs INCLUDE OUTPUT.h");
  const auto text = read_all(argv[1]);
  if (!text) return fail(std::string{"cannot read "} + argv[1]);
  const auto schema = read_all(argv[2]);
  if (!schema) return fail(std::string{"cannot read "} + argv[2]);
  const pannier::rpcgen::Input input{argv[1], *text, *schema};
  std::vector<std::string> errors;
  const auto services = pannier::rpcgen::read_services(input, errors);
  for (const std::string& error : errors) std::fprintf(stderr, "%s\n", error.c_str());
  if (!errors.empty()) return 2;
  const std::string header = pannier::rpcgen::header_of(services, input, argv[3]);
  std::FILE* file = std::fopen(argv[4], "wb");
  if (file == nullptr) return fail(std::string{"cannot write "} + argv[4]);
  const bool written = std::fwrite(header.data(), 1, header.size(), file) == header.size();
  return std::fclose(file) == 0 && written ? 0 : fail(std::string{"cannot write "} + argv[4]);
}
