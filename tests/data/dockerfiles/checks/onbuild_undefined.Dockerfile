FROM scratch AS a
ONBUILD ENV x=$nope
ONBUILD ENV legacy value
FROM a
FROM a
