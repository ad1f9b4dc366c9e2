FROM alpine
ADD --unpack=false plain.tar /t/
