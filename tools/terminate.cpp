#include <cstdio>
#include <cstdlib>
#include <exception>

// What libstdc++ calls when nobody caught an exception; a program may have its own. The library's prints the type's
// name in C++ spelling, and 30 to 50 KB of it do nothing else.
namespace __gnu_cxx {

void __verbose_terminate_handler() {
  if (std::current_exception() != nullptr) {
    try {
      throw;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "pannier: an exception ends the program: %s\n", error.what());
    } catch (...) {
      std::fputs("pannier: an exception ends the program\n", stderr);
    }
  }
  std::abort();
}

}  // namespace __gnu_cxx
