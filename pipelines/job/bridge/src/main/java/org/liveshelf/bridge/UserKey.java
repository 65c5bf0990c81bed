package org.liveshelf.bridge;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.types.Row;

/** The key of the users' state: a row of one text whose characters stand for the bytes of the user's id. */
public final class UserKey implements KeySelector<Tuple2<byte[], byte[]>, Row> {
    private static final long serialVersionUID = 1L;

    @Override
    public Row getKey(Tuple2<byte[], byte[]> record) {
        return of(record.f0);
    }

    static Row of(byte[] user) {
        return Row.of(new String(user, ISO_8859_1));
    }

    /** The bytes of the user's id, the inverse of `of`. */
    static byte[] bytes(Row key) {
        return ((String) key.getField(0)).getBytes(ISO_8859_1);
    }
}
