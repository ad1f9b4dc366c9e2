FROM alpine
LABEL a=b "com.example.name"="a b" multi="line \
continued" empty=
LABEL version 1.0 beta
LABEL a=c
