package org.liveshelf.bridge;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import org.apache.flink.streaming.api.operators.python.embedded.AbstractEmbeddedPythonFunctionOperator;

/**
 * The interpreter of PyFlink's operator, and one object in it.
 *
 * <p>By method handles: PyFlink's client puts flink-python.jar among a job's own jars, so a class of ours that names
 * pemja's would get a second copy of it, from another class loader than PyFlink's operator has.
 */
final class Python {
    private static final String NAME = "operation"; // what PyFlink calls its object

    private final MethodHandle exec;
    private final MethodHandle set;
    private final MethodHandle invoke;

    Python(AbstractEmbeddedPythonFunctionOperator<?> operator) throws ReflectiveOperationException {
        var field = AbstractEmbeddedPythonFunctionOperator.class.getDeclaredField("interpreter");
        field.setAccessible(true);
        Object interpreter = field.get(operator);
        Class<?> kind = interpreter.getClass();
        var lookup = MethodHandles.publicLookup();
        exec = lookup.findVirtual(kind, "exec", MethodType.methodType(void.class, String.class)).bindTo(interpreter);
        set = lookup.findVirtual(kind, "set", MethodType.methodType(void.class, String.class, Object.class))
                .bindTo(interpreter);
        invoke = lookup.findVirtual(
                        kind,
                        "invokeMethod",
                        MethodType.methodType(Object.class, String.class, String.class, Object[].class))
                .bindTo(interpreter)
                .asFixedArity();
    }

    /** Makes the object from its pickle. */
    void unpickle(byte[] pickle) throws Exception {
        run(() -> {
            set.invoke("pickle_of_" + NAME, (Object) pickle);
            exec.invoke("from pyflink.fn_execution import pickle");
            exec.invoke(NAME + " = pickle.loads(bytes(pickle_of_" + NAME + "))");
            return null;
        });
    }

    Object call(String method, Object... arguments) throws Exception {
        return run(() -> invoke.invoke(NAME, method, arguments));
    }

    private interface Step {
        Object run() throws Throwable;
    }

    private static Object run(Step step) throws Exception {
        try {
            return step.run();
        } catch (Exception | Error expected) {
            throw expected;
        } catch (Throwable other) {
            throw new IllegalStateException(other);
        }
    }
}
