package org.liveshelf.bridge;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.types.Row;

/** The timers that this operator has set: one a user. Timers of a restored checkpoint are not among them. */
final class Promises {
    private final Map<String, Long> times = new HashMap<>();
    private final InternalTimerService<VoidNamespace> timers;
    private final Consumer<Object> setKey;

    Promises(InternalTimerService<VoidNamespace> timers, Consumer<Object> setKey) {
        this.timers = timers;
        this.setKey = setKey;
    }

    /** Sets the user's timer, instead of the one before. */
    void set(Row key, long inMs) {
        setKey.accept(key);
        long at = timers.currentProcessingTime() + inMs;
        Long before = times.put(user(key), at);
        if (before != null && before != at) {
            timers.deleteProcessingTimeTimer(VoidNamespace.INSTANCE, before);
        }
        timers.registerProcessingTimeTimer(VoidNamespace.INSTANCE, at);
    }

    /** Deletes the user's timer. */
    void takeBack(Row key) {
        Long at = times.remove(user(key));
        if (at != null) {
            setKey.accept(key);
            timers.deleteProcessingTimeTimer(VoidNamespace.INSTANCE, at);
        }
    }

    /** A timer has fired. */
    void fired(Row key, long at) {
        times.remove(user(key), at);
    }

    private static String user(Row key) {
        return (String) key.getField(0);
    }
}
