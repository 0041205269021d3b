int two(); int main() { return two(); }
