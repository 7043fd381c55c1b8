// gRPC C++, for the rows call/...: unary calls with TLS between two processes over TCP.
// `grpc ROW VARIANT SCALE FOLDER ROWS MATCH` prints one figure; variant 1 serves by threads, variant 2 by callbacks.

#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>
#include "bench/child.h"
#include "bench/measure.h"
#include "bench/schema/echo.grpc.pb.h"

namespace pannier::bench {
namespace {

using peer::EchoService;
using peer::Sample;

Sample turn_of(std::uint64_t number) {
  Sample sample;
  sample.set_turn(number);
  sample.set_made(number + 1);
  sample.set_latitude(48.137);
  sample.set_longitude(11.575);
  sample.set_speed(7.5F);
  sample.set_heading(90.0F);
  return sample;
}

struct ByThreads final : EchoService::Service {
  grpc::Status Turn(grpc::ServerContext*, const Sample* request, Sample* response) override {
    *response = turn_of(request->turn());
    return grpc::Status::OK;
  }
};
struct ByCallbacks final : EchoService::CallbackService {
  grpc::ServerUnaryReactor* Turn(grpc::CallbackServerContext* context, const Sample* request,
                                 Sample* response) override {
    *response = turn_of(request->turn());
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream{path}.rdbuf();
  return text.str();
}

/// A key and a certificate for this run.
struct Certificate {
  explicit Certificate(const std::string& folder) {
    const std::string files = "-keyout '" + folder + "/key.pem' -out '" + folder + "/certificate.pem'";
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost " +
        files + " 2>/dev/null";
    if (std::system(command.c_str()) != 0) give_up("openssl cannot make a certificate");
    key = content(folder + "/key.pem");
    certificate = content(folder + "/certificate.pem");
  }
  std::string key;
  std::string certificate;
};

void serve(const Certificate& own, bool callbacks, Child& self) {
  ByThreads threads;
  ByCallbacks reactors;
  grpc::SslServerCredentialsOptions tls;
  tls.pem_key_cert_pairs.push_back({own.key, own.certificate});
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
  if (callbacks) {
    builder.RegisterService(&reactors);
  } else {
    builder.RegisterService(&threads);
  }
  const auto server = builder.BuildAndStart();
  if (server == nullptr) give_up("gRPC cannot listen");
  self.say("localhost:" + std::to_string(port));
  server->Wait();
}

double one_call(EchoService::Stub& stub, std::uint64_t turn) {
  Stopwatch watch;
  watch.start();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{5});
  Sample response;
  const grpc::Status status = stub.Turn(&context, turn_of(turn), &response);
  if (!status.ok() || response.turn() != turn) give_up("a call failed: " + status.error_message());
  return watch.seconds() * 1e6;
}

/// Keeps so many calls under way by callbacks.
class Flood {
 public:
  Flood(EchoService::Stub& stub, std::uint64_t count) : stub_(stub), left_(count), open_(0) {}
  void run(int in_flight) {
    for (int i = 0; i < in_flight; ++i) begin();
    std::unique_lock lock{mutex_};
    ended_.wait(lock, [this] { return left_ == 0 && open_ == 0; });
  }

 private:
  struct One {
    grpc::ClientContext context;
    Sample request;
    Sample response;
  };
  void begin() {
    auto* one = new One;
    {
      const std::lock_guard lock{mutex_};
      if (left_ == 0) {
        delete one;
        if (open_ == 0) ended_.notify_one();
        return;
      }
      one->request = turn_of(left_--);
      ++open_;
    }
    one->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{5});
    stub_.async()->Turn(&one->context, &one->request, &one->response, [this, one](const grpc::Status& status) {
      if (!status.ok() || one->response.turn() != one->request.turn()) give_up("a call failed");
      delete one;
      {
        const std::lock_guard lock{mutex_};
        --open_;
      }
      begin();
    });
  }

  EchoService::Stub& stub_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::uint64_t left_;
  int open_;
};

Answer measure(const Call& call) {
  const Certificate own{call.folder};
  Child far{[&](Child& self) { serve(own, call.variant == 2, self); }};
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = own.certificate;
  const auto stub = EchoService::NewStub(grpc::CreateChannel(far.hear(), grpc::SslCredentials(tls)));
  if (call.row == "call/latency") {
    std::vector<double> took;
    for (std::uint64_t i = call.times(2e4); i > 0; --i) took.push_back(one_call(*stub, i));
    return latency(std::move(took));
  }
  if (call.row == "call/rate") {
    const std::uint64_t count = call.times(1e5);
    Flood{*stub, count / 10}.run(64);
    Stopwatch watch;
    watch.start();
    Flood{*stub, count}.run(64);
    return {static_cast<double>(count) / watch.seconds(), 0, ""};
  }
  give_up("there is no row " + call.row);
}

}  // namespace
}  // namespace pannier::bench

int main(int argc, char** argv) {
  using namespace pannier::bench;
  const Answer figure = measure(read_call(argc, argv));
  return answer(figure);
}
