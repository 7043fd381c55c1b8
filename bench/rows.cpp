#include "bench/rows.h"

namespace pannier::bench {

const std::vector<Row>& rows() {
  const Side ours{"ours", "ours"};
  const Side counted{"ours", "ours_counted"};
  const Side caf1{"caf 0.17.6, 1 thread", "caf", 1};
  const Side caf2{"caf 0.17.6, 2 threads", "caf", 2};
  const Side queue{"ours", "queue"};
  const Side link{"ours", "link"};
  const Side push_pull{"libzmq, PUSH to PULL", "zmq"};
  const Side req_rep{"libzmq, REQ to REP", "zmq"};
  const Side guard{"beside the attack", "guard", 1};
  const Side calm{"undisturbed", "guard", 2};
  const Side sqlite{"sqlite, key and payload", "sqlite", 1};
  const Side sqlite_rows{"sqlite, columns of rows", "sqlite", 2};
  const Side mosquitto{"mosquitto 2.0, QoS 1", "mosquitto"};
  const Side grpc1{"gRPC 1.51, TLS, threads", "grpc", 1};
  const Side grpc2{"gRPC 1.51, TLS, callbacks", "grpc", 2};
  static const std::vector<Row> kRows = {
      {"pingpong/same-worker", "msg/s", true, ours, {caf1, caf2}},
      {"pingpong/cross-worker", "msg/s", true, ours, {caf2}},
      {"fan-in/8", "msg/s", true, ours, {caf1, caf2}},
      {"pingpong/flatbuffers", "msg/s", true, ours, {caf1, caf2}},
      {"call/same-worker", "calls/s", true, {"ours", "call", 1}, {{"a bare ask", "call", 2}}},
      {"call/tcp", "calls/s", true, {"ours", "call", 1}, {{"a bare ask", "call", 2}}},
      {"call/latency", "us", false, {"ours, CURVE", "call", 1}, {grpc1, grpc2}},
      {"call/rate", "calls/s", true, {"ours, CURVE", "call", 1}, {grpc1, grpc2}},
      {"call/beside-stalled", "x", false, {"ours", "call", 1}, {}},
      {"spawn", "actors/s", true, ours, {caf1, caf2}},
      {"actor-memory", "B/actor", false, ours, {caf1}},
      {"allocations/tell", "1/msg", false, counted, {}},
      {"wakeups/idle", "1/s", false, ours, {}},
      {"compile/20-handlers", "s", false, {"ours", "compile"}, {{"caf 0.17.6", "compile", 2}}},
      {"compile/20-handlers-memory", "MB", false, {"ours", "compile"}, {{"caf 0.17.6", "compile", 2}}},
      {"enqueue/fsynced", "msg/s", true, queue, {sqlite, sqlite_rows}},
      {"enqueue/one-at-a-time", "msg/s", true, queue, {sqlite, sqlite_rows}},
      {"enqueue/one-thread", "msg/s", true, queue, {sqlite, sqlite_rows}},
      {"end-to-end/fsynced", "msg/s", true, queue, {mosquitto}},
      {"end-to-end/plaintext", "msg/s", true, queue, {mosquitto}},
      {"end-to-end/handled", "msg/s", true, queue, {mosquitto}},
      {"link/tell", "msg/s", true, link, {push_pull}},
      {"link/tell-curve", "msg/s", true, link, {push_pull}},
      {"link/tell-1k", "msg/s", true, link, {push_pull}},
      {"link/tell-16k", "msg/s", true, link, {push_pull}},
      {"link/ask-tcp", "us", false, link, {req_rep}},
      {"link/ask-ipc", "us", false, link, {req_rep}},
      {"flash/bytes", "B/msg", false, queue, {}, 3},
      {"flash/fsyncs", "1/msg", false, queue, {}, 3},
      {"backlog/memory", "MB", false, queue, {}, 1},
      {"backlog/start-up", "ms", false, queue, {}, 1},
      {"backlog/growth", "x", false, queue, {}, 1},
      {"urgent/behind-backlog", "x", false, queue, {}, 3},
      {"guard/rows", "ms", false, guard, {calm}, 1},
      {"guard/large-rows", "ms", false, guard, {calm}, 1},
      {"guard/gaps", "ms", false, guard, {calm}, 1},
      {"guard/lanes", "ms", false, guard, {calm}, 1},
      {"guard/incarnations", "ms", false, guard, {calm}, 1},
      {"guard/retained", "ms", false, guard, {calm}, 1},
      {"guard/filters", "ms", false, guard, {calm}, 1},
      {"guard/tells", "ms", false, guard, {calm}, 1},
      {"guard/asks", "ms", false, guard, {calm}, 1},
      {"guard/crowd", "ms", false, guard, {calm}, 1},
      {"guard/half-frames", "ms", false, guard, {calm}, 1},
  };
  return kRows;
}

}  // namespace pannier::bench
