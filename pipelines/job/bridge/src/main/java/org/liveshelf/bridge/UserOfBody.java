package org.liveshelf.bridge;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.apache.flink.table.api.JsonValueOnEmptyOrError.NULL;

import org.apache.flink.table.runtime.functions.SqlJsonUtils;

/** Whom a record without key belongs to: SQL's JSON_VALUE(body, '$.user_id'), by Flink's own function. */
final class UserOfBody {
    private static final byte[] NOBODY = {};

    /** The id's bytes; none where the body is no JSON, names nobody, or has more than maxChars characters. */
    static byte[] of(byte[] body, int maxChars) {
        if (body == null) {
            return NOBODY;
        }
        String text = new String(body, UTF_8);
        if (text.codePointCount(0, text.length()) > maxChars) {
            return NOBODY;
        }
        Object user = SqlJsonUtils.jsonValue(text, "$.user_id", NULL, null, NULL, null);
        return user == null ? NOBODY : user.toString().getBytes(UTF_8);
    }

    private UserOfBody() {}
}
