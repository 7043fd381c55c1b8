#include <algorithm>
#include <array>
#include <tuple>

#include "gateways/http/feeds.h"
#include "gateways/http/front.h"
#include "platform/posix/digest.h"
#include "services/json/json_text.h"

/// The live page at /, and what it shows: /v1/node. Nothing is looked at while nobody looks.
namespace pannier::http {

namespace {

constexpr Duration kLookEvery = std::chrono::seconds{2};
constexpr std::size_t kActorsShown = 100;
constexpr std::size_t kRowsShown = 200;

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--bg:#fbfbfa;--fg:#1c1e21;--dim:#63686f;--line:#dcdedf;--card:#fff;--good:#1a7f37;
--bad:#c62828;--accent:#1f5fbf}
@media(prefers-color-scheme:dark){:root{--bg:#131517;--fg:#e7e9eb;--dim:#9aa1a9;--line:#2c3034;--card:#1b1e21;
--good:#4cc38a;--bad:#ff7b72;--accent:#79b0ff}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif}
main{max-width:1100px;margin:0 auto;padding:16px}h1{font-size:20px;margin:0}h2{font-size:15px;margin:24px 0 6px}
header{display:flex;flex-wrap:wrap;gap:8px 16px;align-items:baseline}.dim{color:var(--dim)}.good{color:var(--good)}
.bad{color:var(--bad)}.card{background:var(--card);border:1px solid var(--line);border-radius:6px;overflow-x:auto}
table{border-collapse:collapse;width:100%}th,td{padding:6px 10px;text-align:left;border-bottom:1px solid var(--line);
vertical-align:top}th{font-weight:600;color:var(--dim);font-size:13px}tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.w{overflow-wrap:anywhere;min-width:110px}
button{font:inherit;padding:2px 10px;border:1px solid var(--line);border-radius:4px;background:var(--bg);
color:var(--accent);cursor:pointer}
input{font:inherit;padding:4px 8px;border:1px solid var(--line);border-radius:4px;background:var(--card);
color:inherit;max-width:100%}p{margin:8px 10px}
@media(max-width:560px){main{padding:10px}td.w{min-width:56px}th,td{padding:5px 6px;font-size:13px}.opt{display:none}}
)css";

constexpr std::string_view kScript = R"js(
'use strict';
let token = sessionStorage.getItem('pannier-key') || '', before = null, known = {};
const $ = id => document.getElementById(id);
const head = () => token ? {Authorization: 'Bearer ' + token} : {};
function cell(row, what, cls) { const c = row.insertCell(); c.append(what); c.className = cls || ''; }
function table(id, names, rows, none) {
  const box = $(id); box.textContent = '';
  if (!rows.length) {
    const p = document.createElement('p'); p.className = 'dim'; p.textContent = none; box.append(p);
    return;
  }
  const t = document.createElement('table'), h = t.createTHead().insertRow();
  for (const [name, cls] of names) {
    const c = document.createElement('th'); c.textContent = name; c.className = cls || ''; h.append(c);
  }
  const body = t.createTBody();
  for (const row of rows) { const r = body.insertRow(); row.forEach((v, i) => cell(r, v, names[i][1])); }
  box.append(t);
}
function bytes(n) { const u = ['B', 'KB', 'MB', 'GB', 'TB']; let i = 0; while (n >= 1000 && i < 4) { n /= 1000; i++; }
  return (i ? n.toFixed(1) : n) + ' ' + u[i]; }
async function redrive(row, button) {
  button.disabled = true;
  const q = new URLSearchParams({lane: row.lane, id: row.id, box: row.box, node: row.node});
  const a = await fetch('/v1/dead-letters/redrive?' + q, {method: 'POST', headers: head()});
  if (!a.ok) { const p = await a.json(); $('said').textContent = p.detail || p.title; button.disabled = false; }
}
function show(s) {
  document.title = s.node + ' · Pannier';
  $('node').textContent = s.node;
  $('health').textContent = s.ready ? 'ready' : 'not ready: ' + s.reasons.map(r => r.code + ' ' + r.detail).join(', ');
  $('health').className = s.ready ? 'good' : 'bad';
  table('links', [['Node', 'w'], ['State']], s.links.map(l => [l, 'linked']), 'No links.');
  const now = s.at_ms, dt = before ? (now - before) / 1000 : 0, next = {};
  table('lanes', [['Lane', 'w'], ['To', 'w opt'], ['Ready', 'n'], ['In flight', 'n opt'], ['Delayed', 'n opt'],
    ['Dead', 'n'], ['Bytes', 'n opt'], ['Change', 'n'], ['Drains in', 'n']], s.lanes.map(l => {
      const key = l.box + '/' + l.node + '/' + l.lane, rate = dt && key in known ? (l.ready - known[key]) / dt : 0;
      next[key] = l.ready;
      return [l.lane, l.box === 'outbox' ? l.node : 'here', l.ready, l.in_flight, l.delayed, l.dead, bytes(l.bytes),
        rate ? (rate > 0 ? '+' : '') + rate.toFixed(1) + '/s' : '–',
        l.ready && rate < 0 ? Math.ceil(l.ready / -rate) + ' s' : '–']; }), 'No lanes.');
  before = now; known = next;
  table('dead', [['Lane', 'w'], ['Key', 'w'], ['Cause', 'w'], ['Attempts', 'n opt'], ['']], s.dead_letters.map(d => {
    const b = document.createElement('button'); b.textContent = 'Redrive'; b.onclick = () => redrive(d, b);
    return [d.lane, d.key, d.cause, d.attempts, b]; }), 'No dead letters.');
  table('reasons', [['Dropped', 'w'], ['Messages', 'n']],
    Object.entries(s.dropped).filter(([, n]) => n).map(([r, n]) => [r, n]), 'No message was dropped.');
  const d = s.store;
  table('disk', [['Commits', 'n'], ['Rows a commit', 'n'], ['Syncs', 'n'], ['Written', 'n'], ['Bytes a row', 'n opt']],
    d.commits ? [[d.commits, (d.rows / d.commits).toFixed(1), d.fsyncs, bytes(d.bytes),
      d.rows ? Math.round(d.bytes / d.rows) : 0]] : [], 'Nothing stored yet.');
  table('actors', [['Actor', 'w'], ['Class', 'w opt'], ['Waiting', 'n'], ['Handled', 'n'], ['Failures', 'n']],
    s.actors.map(a => [a.name, a.type, a.queued, a.handled, a.failures]), 'No actors.');
}
async function follow() {
  const a = await fetch('/v1/node', {headers: {...head(), Accept: 'text/event-stream'}});
  if (a.status === 401 || a.status === 403) { $('login').hidden = false; throw new Error('an API key is needed'); }
  if (!a.ok) throw new Error('status ' + a.status);
  $('login').hidden = true; $('said').textContent = '';
  const reader = a.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = '';;) {
    const {value, done} = await reader.read();
    if (done) throw new Error('the node has ended the stream');
    text += value;
    for (let at; (at = text.indexOf('\n\n')) >= 0; text = text.slice(at + 2)) {
      const line = text.slice(0, at).split('\n').find(l => l.startsWith('data: '));
      if (line) show(JSON.parse(line.slice(6)));
    }
  }
}
async function forever() {
  for (;;) {
    try { await follow(); } catch (e) { $('said').textContent = e.message; }
    await new Promise(r => setTimeout(r, 2000));
  }
}
$('login').onsubmit = e => { e.preventDefault(); token = $('key').value;
  sessionStorage.setItem('pannier-key', token); };
forever();
)js";

std::string csp_hash(std::string_view text) {
  const std::string hex = posix::sha256_hex(text);
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
    bytes += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  }
  return "'sha256-" + json::base64(bytes) + "'";
}

std::string page_text() {
  std::string page =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Pannier</title>"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><link rel=\"icon\" "
      "href=\"data:,\"><style>";
  page.append(kStyle).append(
      "</style></head><body><main><header><h1 id=\"node\">…</h1><strong id=\"health\"></strong>"
      "<span id=\"said\" class=\"dim\" role=\"status\"></span></header>"
      "<form id=\"login\" hidden><p><label>API key <input id=\"key\" type=\"password\" autocomplete=\"off\"></label> "
      "<button>Use</button></p></form>");
  static constexpr std::array<std::pair<const char*, const char*>, 6> kParts = {{{"Links", "links"},
                                                                                 {"Lanes", "lanes"},
                                                                                 {"Disk", "disk"},
                                                                                 {"Dead letters", "dead"},
                                                                                 {"Dropped in memory", "reasons"},
                                                                                 {"Actors", "actors"}}};
  for (const auto& [title, id] : kParts) {
    page.append("<h2>").append(title).append("</h2><div class=\"card\" id=\"").append(id).append("\"></div>");
  }
  page.append("</main><script>").append(kScript).append("</script></body></html>\n");
  return page;
}

template <class Each>
std::string array_of(const Each& each) {
  std::string list;
  each([&](const std::string& item) { list += (list.empty() ? "" : ",") + item; });
  return "[" + list + "]";
}

const char* box_name(Box box) noexcept { return box == Box::outbox ? "outbox" : "inbox"; }

std::string lanes_json(const QueueStatus& queue) {
  return array_of([&](const auto& add) {
    for (const StreamStatus& stream : queue.streams) {
      Load all;
      for (const Load& load : stream.loads) all += load;
      add(json::JsonObject{}
              .text("lane", stream.lane)
              .text("box", box_name(stream.box))
              .text("node", stream.node)
              .number("ready", stream[RowState::ready].messages)
              .number("dead", stream[RowState::dead_lettered].messages)
              .number("delayed", stream[RowState::delayed].messages)
              .number("retained", stream[RowState::retained].messages)
              .number("in_flight", stream.in_flight)
              .number("bytes", all.bytes)
              .flag("link_up", stream.link_up)
              .str());
    }
  });
}

std::string dead_letters_json(const QueueStatus& queue) {
  return array_of([&](const auto& add) {
    for (const RowStatus& row : queue.rows) {
      if (row.state != RowState::dead_lettered) continue;
      add(json::JsonObject{}
              .text("lane", row.lane)
              .text("box", box_name(row.box))
              .text("node", row.node)
              .text("id", std::to_string(row.id))
              .text("key", row.key)
              .text("cause", row.cause)
              .number("attempts", row.attempts)
              .str());
    }
  });
}

std::string actors_json(Node& node) {
  std::vector<ActorStatus> actors = node.actors();
  const auto busier = [](const ActorStatus& a, const ActorStatus& b) {
    return std::tie(a.queued, a.failures, a.handled) > std::tie(b.queued, b.failures, b.handled);
  };
  std::sort(actors.begin(), actors.end(), busier);
  if (actors.size() > kActorsShown) actors.resize(kActorsShown);
  return array_of([&](const auto& add) {
    for (const ActorStatus& actor : actors) {
      add(json::JsonObject{}
              .text("name", actor.name)
              .text("type", actor.type)
              .number("queued", actor.queued)
              .number("handled", actor.handled)
              .number("failures", actor.failures)
              .str());
    }
  });
}

}  // namespace

std::string node_json(const Setup& setup, const Result<QueueStatus>& status, WallTime at) {
  static const QueueStatus kNone;
  const QueueStatus& queue = status ? *status : kNone;
  const auto reasons = not_ready(setup.options, status);
  json::JsonObject dropped;
  for (std::size_t i = 0; i < kDeadLetterReasons; ++i) {
    const auto reason = static_cast<DeadLetterReason>(i);
    dropped.number(to_string(reason), setup.node->dead_letters(reason));
  }
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  return json::JsonObject{}
      .text("node", setup.node->name())
      .raw("at_ms", std::to_string(milliseconds))
      .flag("ready", reasons.empty())
      .raw("reasons", reasons_json(reasons))
      .raw("links", array_of([&](const auto& add) {
             for (const std::string& link : queue.links) add(json::json_text(link));
           }))
      .raw("lanes", lanes_json(queue))
      .raw("dead_letters", dead_letters_json(queue))
      .raw("dropped", dropped.str())
      .raw("store", json::JsonObject{}
                        .number("commits", queue.store.commits)
                        .number("rows", queue.store.rows_put)
                        .number("bytes", queue.store.bytes_written)
                        .number("fsyncs", queue.store.fsyncs)
                        .str())
      .raw("actors", actors_json(*setup.node))
      .str();
}

/// The node as it is, every two seconds.
class NodeWriter : public Actor<NodeWriter> {
 public:
  NodeWriter(std::shared_ptr<const Setup> setup, std::shared_ptr<Feed> feed)
      : setup_(std::move(setup)), feed_(std::move(feed)) {}
  void on_start() {
    look();
    every(kLookEvery, &NodeWriter::look);
  }
  void on_stop() { feed_->end(); }

 private:
  void look() {
    queue().inspect({.rows = kRowsShown}).then([this](const Result<QueueStatus>& status) {
      // A reader that has not taken the last one gets a newer one later.
      static_cast<void>(feed_->write(sse_event("", "", node_json(*setup_, status, wall_now()))));
    });
  }
  std::shared_ptr<const Setup> setup_;
  std::shared_ptr<Feed> feed_;
};

void Front::get_page(const CallPtr& call) {
  static const std::string kPage = page_text();
  static const std::string kPolicy = "default-src 'none'; connect-src 'self'; img-src data:; style-src " +
                                     csp_hash(kStyle) + "; script-src " + csp_hash(kScript) +
                                     "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  Response response{.status = 200, .headers = {}, .body = kPage, .feed = {}};
  response.headers.emplace_back("Content-Type", "text/html; charset=utf-8");
  response.headers.emplace_back("Content-Security-Policy", kPolicy);
  answer(call, std::move(response));
}

void Front::get_node(const CallPtr& call) {
  if (call->request().header("accept").find("text/event-stream") != std::string_view::npos) {
    if (feeds_.size() >= setup_->options.readers) return fail(call, {ErrorCode::full, "too many event streams"});
    const auto feed = std::make_shared<Feed>(setup_->options.reader_bytes);
    const auto writer = spawn<NodeWriter>({.restart = Restart::temporary}, setup_, feed);
    if (!writer) return fail(call, writer.error());
    return start_feed(call, feed, *writer);
  }
  queue().inspect({.rows = kRowsShown}).then([this, call](const Result<QueueStatus>& status) {
    answer(call, json_answer(200, node_json(*setup_, status, wall_now())));
  });
}

void Front::post_redrive(const CallPtr& call) {
  const Request& request = call->request();
  DeadLetterSelection selection;
  selection.lane = request.parameter("lane");
  selection.key = request.parameter("key");
  selection.node = request.parameter("node");
  const std::string_view box = request.parameter("box");
  if (!box.empty() && box != "inbox" && box != "outbox") {
    return fail(call, {ErrorCode::invalid_argument, "box is inbox or outbox"});
  }
  selection.box = box == "outbox" ? Box::outbox : Box::inbox;
  if (const auto id = request.find_query("id")) {
    const auto number = offset_in(*id);
    if (!number) return fail(call, {ErrorCode::invalid_argument, "id is the number of a dead letter"});
    selection.id = *number;
  }
  if (selection.lane.empty()) return fail(call, {ErrorCode::invalid_argument, "which lane? Say ?lane=NAME"});
  queue().redrive(std::move(selection)).then([this, call](const Result<DeadLetterCount>& done) {
    if (!done) return fail(call, done.error());
    answer(call,
           json_answer(200, json::JsonObject{}.number("messages", done->messages).flag("more", done->more).str()));
  });
}

}  // namespace pannier::http
