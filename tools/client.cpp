#include "tools/client.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include <pannier/actor.h>
#include <pannier/node.h>
#include <pannier/zmq.h>

#include "platform/posix/event_wakeup.h"
#include "platform/posix/loop_threads.h"
#include "platform/posix/system_clock.h"
#include "platform/posix/system_entropy.h"
#include "run/schema/inspect.fbs.h"
#include "run/tool_service.h"
#include "runtime/link/router_messages.h"
#include "tools/client_target.h"
#include "tools/output.h"

namespace pannier::tools {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookAgain{20};
constexpr std::size_t kKeptPublications = 10'000;

/// Keeps the last thing that the link layer complained of: the reason when there is no link.
class LastWords final : public Log {
 public:
  void write(LogLevel level, std::string_view line) noexcept override {
    if (level < LogLevel::warning) return;
    const std::lock_guard lock{mutex_};
    last_ = line;
  }
  [[nodiscard]] std::string last() const {
    const std::lock_guard lock{mutex_};
    return last_;
  }

 private:
  mutable std::mutex mutex_;
  std::string last_;
};

/// Where the main thread waits for what the agent brings.
struct Mailbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t asked = 0;  // number of the question that is being waited for
  std::optional<Result<AnyTable>> answer;
  struct Publication {
    std::string topic;
    AnyTable payload;
  };
  std::deque<Publication> publications;
  std::uint64_t dropped = 0;
  bool stopped = false;
};

/// From the main thread to the agent.
struct Question {
  std::uint64_t number;
  AnyTable question;
  Duration timeout;
  bool until_up;  // asks again while there is no link
};
struct Filter {
  std::string text;
};

/// Asks and listens for the main thread.
struct Agent : Actor<Agent, Question, Filter, AnyTable> {
  Agent(Mailbox* mailbox, std::string node) : mailbox_(mailbox), tools_(ref(node + "/" + std::string{kServiceName})) {}

  void on(const Question& question) { put(question, now() + question.timeout); }
  void on(const Filter& filter) { subscribe_any(filter.text).ignore(); }  // checked by the caller
  void on(const AnyTable& payload) {
    const std::lock_guard lock{mailbox_->mutex};
    if (mailbox_->publications.size() >= kKeptPublications) {
      ++mailbox_->dropped;
    } else {
      mailbox_->publications.push_back({std::string{label()}, payload});
    }
    mailbox_->changed.notify_one();
  }

 private:
  void put(const Question& question, MonoTime deadline) {
    ask<AnyTable>(tools_, question.question, deadline - now())
        .then([this, question, deadline](Result<AnyTable> answer) {
          const bool no_link = !answer && answer.error().code == ErrorCode::unreachable;
          if (no_link && question.until_up && now() + kLookAgain < deadline) {
            after(kLookAgain, [this, question, deadline] { put(question, deadline); });
            return;
          }
          const std::lock_guard lock{mailbox_->mutex};
          if (mailbox_->asked != question.number) return;
          mailbox_->answer = std::move(answer);
          mailbox_->changed.notify_one();
        });
  }

  Mailbox* mailbox_;
  Ref tools_;
};

}  // namespace

struct Client::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  ResolvedTarget target;
  milliseconds timeout{};
  LastWords log;
  posix::SystemClock clock;
  posix::SystemEntropy entropy;
  zmq::Context context;
  std::unique_ptr<zmq::ZmqTransport> transport;
  Mailbox mailbox;
  std::unique_ptr<Node> node;
  std::unique_ptr<posix::LoopThreads> thread;
  LocalRef agent;
};

Client::State::~State() {
  if (thread == nullptr) return;
  node->stop();
  {
    std::unique_lock lock{mailbox.mutex};
    mailbox.changed.wait_for(lock, std::chrono::seconds{2}, [this] { return mailbox.stopped; });
  }
  thread.reset();
}

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

const std::string& Client::node() const noexcept { return state_->target.link.node; }

Result<Client> Client::connect(const Target& target) {
  auto state = std::make_unique<State>();
  auto resolved = resolve(target, state->entropy);
  if (!resolved) return resolved.error();
  state->target = std::move(*resolved);
  if (auto there = look_at(state->target.link); !there) return there.error();
  state->timeout = target.timeout;
  zmq::ZmqOptions options;
  options.own_key = state->target.keys;
  options.insecure_plaintext = state->target.plaintext;
  auto transport = zmq::ZmqTransport::make(state->context, options);
  if (!transport) return transport.error();
  state->transport = std::move(*transport);
  NodeOptions node_options;
  node_options.name = state->target.own_name;
  node_options.links = {state->target.link};
  auto node = Node::create(
      std::move(node_options),
      {{state->clock, state->entropy, state->log}, {&state->transport->wakeup()}, state->transport.get(), nullptr});
  if (!node) return node.error();
  state->node = std::move(*node);
  auto agent = state->node->spawn<Agent>(SpawnOptions{}, &state->mailbox, state->target.link.node);
  if (!agent) return agent.error();
  state->agent = *agent;
  state->node->on_stopped([mailbox = &state->mailbox] {
    const std::lock_guard lock{mailbox->mutex};
    mailbox->stopped = true;
    mailbox->changed.notify_one();
  });
  state->thread = std::make_unique<posix::LoopThreads>(state->node->loops(), state->clock);

  Client client{std::move(state)};
  auto pong = client.ask<Pong>(make<Ping>(), target.timeout);
  if (!pong) {
    const std::string words = client.state_->log.last();
    const LinkOptions& link = client.state_->target.link;
    if (!is_lost(pong.error())) {
      return Error{ErrorCode::unreachable,
                   "'" + link.node + "' at " + link.address + " is linked, but has no tools that answer (" +
                       std::string{to_string(pong.error().code)} +
                       "): its program has to be started by pannier::run, and without tools = \"off\""};
    }
    return Error{ErrorCode::unreachable, "no link to '" + link.node + "' at " + link.address + " within " +
                                             std::to_string(target.timeout.count()) + " ms" +
                                             (words.empty() ? "" : " (" + words + ")") +
                                             ": does it run, and is its address and key the one given?"};
  }
  return client;
}

Result<AnyTable> Client::ask_any(const AnyTable& question, milliseconds timeout) {
  Mailbox& mailbox = state_->mailbox;
  std::unique_lock lock{mailbox.mutex};
  const std::uint64_t number = ++mailbox.asked;
  mailbox.answer.reset();
  lock.unlock();
  const bool first = question.type() == type_info<Ping>().id;
  if (auto told = state_->node->tell(state_->agent, Question{number, question, timeout, first}); !told) {
    return told.error();
  }
  lock.lock();
  // The agent keeps the time; a second more is for a machine that is busy.
  mailbox.changed.wait_for(lock, timeout + std::chrono::seconds{1}, [&] { return mailbox.answer.has_value(); });
  if (!mailbox.answer) return Error{ErrorCode::timeout, "no answer from '" + node() + "' in time"};
  Result<AnyTable> answer = std::move(*mailbox.answer);
  mailbox.answer.reset();
  if (!answer) {
    return Error{answer.error().code, "'" + node() + "' answers: " + std::string{to_string(answer.error().code)}};
  }
  if (const auto refused = answer->as<Refused>()) {
    return Error{ErrorCode::rejected, (*refused)->text() == nullptr ? "refused" : (*refused)->text()->str()};
  }
  return answer;
}

Result<void> Client::subscribe(const std::string& filter) {
  if (auto good = check_filter(filter); !good) return good;
  if (auto told = state_->node->tell(state_->agent, Filter{filter}); !told) return told;
  // What was sent before the question has been taken when the answer comes.
  const auto pong = ask<Pong>(make<Ping>(), state_->timeout);
  if (!pong) return pong.error();
  return {};
}

Result<void> Client::next(const Received& received, milliseconds wait) {
  Mailbox& mailbox = state_->mailbox;
  std::unique_lock lock{mailbox.mutex};
  if (!mailbox.changed.wait_for(lock, wait, [&] { return !mailbox.publications.empty(); })) return ErrorCode::timeout;
  const auto publication = std::move(mailbox.publications.front());
  mailbox.publications.pop_front();
  lock.unlock();
  received(publication.topic, publication.payload);
  return {};
}

bool is_lost(const Error& error) noexcept {
  return error.code == ErrorCode::unreachable || error.code == ErrorCode::closed || error.code == ErrorCode::timeout;
}

int fail_with(const Error& error) {
  switch (error.code) {
    case ErrorCode::full:
    case ErrorCode::timeout:
    case ErrorCode::unreachable:
    case ErrorCode::rejected:
    case ErrorCode::failed:
    case ErrorCode::cancelled:
    case ErrorCode::closed:
    case ErrorCode::storage_full:
    case ErrorCode::storage_io: return fail(kExitRefused, error);
    default: return fail(kExitUsage, error);
  }
}

}  // namespace pannier::tools
