#pragma once

#include <string>
#include <type_traits>

namespace zmq {

/// Stands in for the string streams of libzmq, which writes a handful of short texts with them (prepare.sh). With them went all of
/// iostream and locale: a fifth of a device's program.
class text_stream_t {
 public:
  text_stream_t &operator<<(const char *text) {
    text_ += text;
    return *this;
  }
  text_stream_t &operator<<(const std::string &text) {
    text_ += text;
    return *this;
  }
  template <class T, class = typename std::enable_if<std::is_integral<T>::value>::type>
  text_stream_t &operator<<(T number) {
    text_ += std::to_string(number);
    return *this;
  }
  std::string str() const { return text_; }

 private:
  std::string text_;
};

}  // namespace zmq
