#include "runtime/link/send_queue.h"

#include <algorithm>

namespace pannier {

namespace {

/// The headers of a frame and of a piece.
constexpr std::size_t kPieceOverhead = wire::kFrameHeaderBytes + wire::kRecordHeaderBytes;

/// Records that must not be lost while the link is up: losing one closes the link.
bool is_reserved(wire::Kind kind) noexcept {
  return kind == wire::Kind::reply || kind == wire::Kind::subscribe || kind == wire::Kind::unsubscribe ||
         kind == wire::Kind::lives || kind == wire::Kind::reach;
}

/// True for a tell of this node. It was accepted before the link was known to be full; the router's mailbox bounds how
/// many there are.
bool is_admitted(const wire::Record& record) noexcept {
  return record.kind == wire::Kind::tell && record.origin.empty();
}

}  // namespace

SendQueue::Flow& SendQueue::flow_of(const wire::Record& record) {
  const bool row = record.kind == wire::Kind::row;
  const bool urgent = !row && (record.flags & wire::kUrgent) != 0;
  const auto band = row ? Flow::Band::rows : urgent ? Flow::Band::urgent : Flow::Band::others;
  const std::string_view lane = row ? record.first : std::string_view{};
  for (Flow& flow : flows_) {
    if (flow.band == band && flow.lane == lane) return flow;
  }
  Flow fresh;
  fresh.band = band;
  fresh.lane = lane;
  fresh.turn = turns_ == 0 ? 0 : turns_ - 1;  // before the flow served last, behind all that wait longer
  return flows_.emplace_back(std::move(fresh));
}

Result<void> SendQueue::add(const wire::Record& record, std::uint32_t priority, Charge charge) {
  const std::size_t size = wire::size_of(record);
  if (size > wire::kRecordBytes) return ErrorCode::invalid_argument;
  const bool admitted = is_admitted(record);
  const std::size_t held = admitted ? admitted_ : bytes_ - admitted_;
  const std::size_t more = admitted                   ? limits::kLinkAdmittedBytes
                           : is_reserved(record.kind) ? limits::kLinkReserveBytes
                                                      : 0;
  if (held + size > limits::kLinkQueueBytes + more) return ErrorCode::full;
  Flow& flow = flow_of(record);
  // The sender of rows may raise a lane's later rows; they cannot pass the earlier ones, so all of them are raised.
  flow.priority = std::max(flow.priority, priority);
  if (auto written = wire::append(flow.bytes, record); !written) {
    if (flow.head == flow.bytes.size()) flows_.pop_back();  // it was created for this record
    return written;
  }
  bytes_ += size;
  flow.added += size;
  if (charge.account() != nullptr) flow.charged.push_back({flow.added, std::move(charge)});
  if (admitted) admitted_ += size;
  ++records_;
  if (record.kind == wire::Kind::tell) ++tells_;
  return {};
}

bool SendQueue::may_leave(const Flow& flow, std::size_t piece) const noexcept {
  if (flow.left > 0) return true;
  if (wire::size_at(flow.bytes.data() + flow.head) + wire::kFrameHeaderBytes <= piece) return true;
  return std::find(std::begin(in_use_), std::end(in_use_), false) != std::end(in_use_);
}

SendQueue::Flow* SendQueue::next(std::size_t piece) {
  std::uint32_t highest = 0;
  for (const Flow& flow : flows_) highest = std::max(highest, flow.priority);
  Flow* best = nullptr;
  const auto rank = [&](const Flow& flow) {
    // The other records take turns with the lanes of the highest priority.
    const std::uint32_t priority = flow.band == Flow::Band::others ? highest : flow.priority;
    return std::pair{flow.band != Flow::Band::urgent, std::pair{~priority, flow.turn}};
  };
  for (Flow& flow : flows_) {
    if (may_leave(flow, piece) && (best == nullptr || rank(flow) < rank(*best))) best = &flow;
  }
  return best;
}

SendQueue::Step SendQueue::move_into(wire::FrameWriter& frame, const Room& room) {
  Flow* const flow = next(room.piece);
  if (flow == nullptr) return {};
  const std::byte* const record = flow->bytes.data() + flow->head;
  const std::size_t size = wire::size_at(record);
  Step step{.row = flow->band == Flow::Band::rows};
  if (flow->left == 0 && size + wire::kFrameHeaderBytes <= room.piece) {
    if (size > room.bytes || !frame.add_written({record, size})) return {};
    step.moved = Moved::record;
    step.bytes = size;
  } else {
    const std::size_t most = std::min(room.piece - kPieceOverhead, limits::kPayloadBytes) / 16 * 16;
    const std::size_t now = std::min(size - flow->left, most);
    if (now + wire::kRecordHeaderBytes > room.bytes) return {};
    if (flow->left == 0) {
      const auto unused = std::find(std::begin(in_use_), std::end(in_use_), false);
      flow->assembly = static_cast<std::uint16_t>(unused - std::begin(in_use_));
    }
    wire::Record part{.kind = wire::Kind::piece, .code = flow->assembly, .id = flow->left, .number = size};
    part.payload = {record + flow->left, now};
    step.bytes = wire::size_of(part);
    part.type = TypeId{room.position + step.bytes};
    part.trace.span = room.clock;
    if (!frame.add(part)) return {};
    in_use_[flow->assembly] = true;
    flow->left += now;
    step.moved = Moved::piece;
  }
  flow->turn = turns_ += 2;
  if (step.moved == Moved::record || flow->left == size) pop(*flow);
  return step;
}

void SendQueue::pop(Flow& flow) {
  const std::byte* const record = flow.bytes.data() + flow.head;
  const std::size_t size = wire::size_at(record);
  if (wire::kind_at(record) == wire::Kind::tell) {
    --tells_;
    if (!wire::has_origin_at(record)) admitted_ -= size;
  }
  if (flow.left > 0) in_use_[flow.assembly] = false;
  flow.left = 0;
  flow.head += size;
  flow.gone += size;
  for (auto& done = flow.uncharged; done < flow.charged.size() && flow.charged[done].end <= flow.gone; ++done) {
    flow.charged[done].charge.release();
  }
  if (flow.uncharged >= 1024 || flow.uncharged == flow.charged.size()) {
    flow.charged.erase(flow.charged.begin(), flow.charged.begin() + static_cast<std::ptrdiff_t>(flow.uncharged));
    flow.uncharged = 0;
  }
  bytes_ -= size;
  --records_;
  if (flow.head == flow.bytes.size()) {
    if (&flow != &flows_.back()) flow = std::move(flows_.back());
    flows_.pop_back();
  } else if (flow.head >= flow.bytes.size() / 2 && flow.head >= 64 * 1024) {
    flow.bytes.erase(flow.bytes.begin(), flow.bytes.begin() + static_cast<std::ptrdiff_t>(flow.head));
    flow.head = 0;
  }
}

void SendQueue::clear() { *this = {}; }

Result<bool> Assembly::add(const wire::Record& piece) {
  if (bytes_.empty() && piece.id == 0) whole_ = static_cast<std::size_t>(piece.number);  // checked below
  const bool fits = piece.id == bytes_.size() && piece.number == whole_ && !piece.payload.empty() &&
                    piece.number <= wire::kRecordBytes && piece.payload.size() <= whole_ - bytes_.size();
  if (!fits) return Error{ErrorCode::malformed, "A piece does not follow the one before."};
  bytes_.insert(bytes_.end(), piece.payload.begin(), piece.payload.end());
  return bytes_.size() == whole_;
}

}  // namespace pannier
