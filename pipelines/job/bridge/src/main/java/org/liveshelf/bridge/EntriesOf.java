package org.liveshelf.bridge;

import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Of the refresh operator's outputs those of one kind: the bytes of the id of a user or an item, and the value, which is one
 * packed field of an entry (pipelines/job/feedback_messages.py, pipelines/job/demand_messages.py).
 */
public final class EntriesOf implements FlatMapFunction<Row, Tuple2<byte[], byte[]>> {
    private static final long serialVersionUID = 1L;

    private final String kind;

    public EntriesOf(String kind) {
        this.kind = kind;
    }

    @Override
    public void flatMap(Row output, Collector<Tuple2<byte[], byte[]>> out) {
        if (kind.equals(output.getField(0))) {
            out.collect(Tuple2.of((byte[]) output.getField(1), (byte[]) output.getField(2)));
        }
    }
}
