package org.liveshelf.bridge;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.msgpack.core.MessagePack;
import org.msgpack.core.MessageUnpacker;

/**
 * What Python wants done: [dropped, [[entry, state], ...], [user, ...], [[entry, ms until the timer], ...], [[kind, key,
 * value, headers], ...], [user, ...]]. `dropped` comes first: Python dropped its older states before these joined the
 * younger ones. A state of nil is cleared. Of the first users the timer is taken back; the users at the
 * end are the entries of the next batch.
 */
final class Answer {
    private final MessageUnpacker unpacker;

    Answer(byte[] answer) {
        unpacker = MessagePack.newDefaultUnpacker(answer);
    }

    void act(
            Batch batch,
            Consumer<Object> setKey,
            ValueState<byte[]> state,
            UserTimers timers,
            Collector<Row> output)
            throws IOException {
        List<Row> keys = batch.keys();
        unpacker.unpackArrayHeader();
        if (unpacker.unpackBoolean()) {
            batch.dropOld();
        }
        for (int left = unpacker.unpackArrayHeader(); left > 0; left--) {
            unpacker.unpackArrayHeader();
            Row key = keys.get(unpacker.unpackInt());
            setKey.accept(key);
            byte[] written = binary();
            if (written == null) {
                state.clear();
            } else {
                state.update(written);
            }
            batch.cached(key);
        }
        for (int left = unpacker.unpackArrayHeader(); left > 0; left--) {
            timers.takeBack(UserKey.of(binary()));
        }
        for (int left = unpacker.unpackArrayHeader(); left > 0; left--) {
            unpacker.unpackArrayHeader();
            timers.set(keys.get(unpacker.unpackInt()), unpacker.unpackLong());
        }
        for (int left = unpacker.unpackArrayHeader(); left > 0; left--) {
            unpacker.unpackArrayHeader();
            output.collect(Row.of(unpacker.unpackString(), binary(), binary(), headers()));
        }
        batch.clear();
        for (int left = unpacker.unpackArrayHeader(); left > 0; left--) {
            Row key = UserKey.of(binary());
            setKey.accept(key);
            batch.addTimer(key, 0, state);
        }
    }

    private byte[] binary() throws IOException {
        return unpacker.tryUnpackNil() ? null : unpacker.readPayload(unpacker.unpackBinaryHeader());
    }

    private Map<String, byte[]> headers() throws IOException {
        if (unpacker.tryUnpackNil()) {
            return null;
        }
        Map<String, byte[]> headers = new HashMap<>();
        for (int left = unpacker.unpackMapHeader(); left > 0; left--) {
            headers.put(unpacker.unpackString(), binary());
        }
        return headers;
    }
}
