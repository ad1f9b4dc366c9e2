FROM scratch AS scratch
FROM scratch AS context
FROM scratch AS other
