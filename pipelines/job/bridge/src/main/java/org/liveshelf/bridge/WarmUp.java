package org.liveshelf.bridge;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.msgpack.core.MessagePack;
import org.msgpack.core.MessageUnpacker;

/**
 * Made-up batches before records flow, so that the JVM has compiled the way into Python and back. The states are here, and
 * timers and records for the sinks go nowhere. Python makes the records and decides when it is enough.
 */
final class WarmUp implements ValueState<byte[]> {
    private final Map<Object, byte[]> states = new HashMap<>();
    private Object key;

    static void run(Python python) throws Exception {
        WarmUp state = new WarmUp();
        Batch batch = new Batch();
        Collector<Row> nowhere = new Collector<>() {
            @Override
            public void collect(Row record) {}

            @Override
            public void close() {}
        };
        while (state.fill(batch, (byte[]) python.call("warm_up_records"))) {
            byte[] answer = (byte[]) python.call("on_warm_up_batch", (Object) batch.take());
            new Answer(answer).act(batch, state::setKey, state, inMs -> {}, nowhere);
        }
    }

    /** records: [[key, value, topic, broker_ms], ...]; false where there are none. */
    private boolean fill(Batch batch, byte[] records) throws Exception {
        MessageUnpacker unpacker = MessagePack.newDefaultUnpacker(records);
        int count = unpacker.unpackArrayHeader();
        for (int left = count; left > 0; left--) {
            unpacker.unpackArrayHeader();
            byte[] user = unpacker.readPayload(unpacker.unpackBinaryHeader());
            byte[] value = unpacker.readPayload(unpacker.unpackBinaryHeader());
            String name = new String(user, StandardCharsets.ISO_8859_1);
            setKey(Row.of(name));
            Row record = Row.of(user, value, unpacker.unpackString(), 0, 0L, unpacker.unpackLong(), true);
            batch.addRecord(name, record, this);
        }
        return count > 0;
    }

    private void setKey(Object key) {
        this.key = key;
    }

    @Override
    public byte[] value() {
        return states.get(key);
    }

    @Override
    public void update(byte[] state) {
        states.put(key, state);
    }

    @Override
    public void clear() {
        states.remove(key);
    }
}
